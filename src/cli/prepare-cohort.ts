/**
 * A cohort of scans to a cohort of JPEG volumes: `compressed/ID.zip`, with reports.csv and labels.csv that name them. With `keepHu`
 * also `hu/ID.nii.gz`, what the JPEG volume was made from, a cohort of its own.
 *
 * `compressed/` sorts before `hu/`: where both are there, a reader of the whole folder takes the JPEG volumes.
 */
import { encodeJpegVolume, formatCsv, initJpegCodec, LABELS, openCohort, toHuInt16, UNLABELLED, writeNiftiGz } from '../data/index.ts';
import type { CohortScan, DecodedScan, InputGrid } from '../data/index.ts';
import { openDecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { nodeJpegWasm } from '../platform/node-jpeg.ts';
import { scanBytes } from '../platform/node-scan.ts';
import { createProgress } from '../platform/progress.ts';
import { cohortOptions, decodeJob, type CohortSource } from './cohort-session.ts';

export interface PrepareCohortOptions extends CohortSource {
  out: string;
  /** Name of the grid, for the record. */
  preset: string;
  grid: InputGrid;
  antialias: boolean;
  /** JPEG quality, 1 to 100. */
  quality: number;
  keepHu: boolean;
  signal?: AbortSignal;
}

export interface PrepareSummary {
  /** Scans that the prepared cohort holds, how many of them were there already, and how many could not be read. */
  prepared: number;
  skipped: number;
  failed: number;
  /** Sizes of the prepared scans before and after, in bytes. */
  sourceBytes: number;
  jpegBytes: number;
  /** What did not fit in the cohort as it was found, for people. */
  problems: string[];
}

/** Splits are made again by whoever reads the result; the seed plays no part here. */
export const anySeed = 0;
/** More bad scans than this share stop the run: the cohort itself is then the problem. */
export const MOST_BAD = 0.1;
const RECORD_FILE = 'prepare.json';
const VOLUME_FOLDER = 'compressed';
const HU_FOLDER = 'hu';

/**
 * Prepares every scan that is not prepared yet. A bad scan is named beside the progress and left out.
 * @throws where more than a tenth of the scans are bad, or where the folder was prepared with another grid or quality.
 */
export async function prepareCohort(options: PrepareCohortOptions): Promise<PrepareSummary> {
  const { out, keepHu, signal } = options;
  const cohort = await openCohort(nodeFiles, { ...(await cohortOptions(options, anySeed)), withoutTables: true });
  for (const folder of [VOLUME_FOLDER, ...(keepHu ? [HU_FOLDER] : [])]) await nodeFiles.makeDirectory(nodeFiles.join(out, folder));
  await checkRecord(options);

  const todo: CohortScan[] = [];
  for (const scan of cohort.scans) if (!(await isPrepared(out, scan.id, keepHu))) todo.push(scan);
  const skipped = cohort.scans.length - todo.length;
  const bad = new Set<string>();
  const progress = createProgress({ title: 'prepare', total: cohort.scans.length, start: skipped });
  const pool = openDecodePool();
  initJpegCodec(nodeJpegWasm);
  let done = skipped;
  try {
    for await (const { job, scan, error } of pool.stream(todo.map((scan) => ({ id: scan.id, ...decodeJob(scan), grid: options.grid, antialias: options.antialias })))) {
      signal?.throwIfAborted();
      if (error) {
        bad.add(job.id);
        progress.note(`left out: ${error.message}`);
        // A single bad scan of a handful is left out too, as in training.
        if (bad.size > Math.max(1, MOST_BAD * cohort.scans.length)) {
          throw new Error(`prepare: ${bad.size} of ${cohort.scans.length} scans are bad, at most a tenth may be; the last: ${error.message}; mend or remove them, then run again to go on`);
        }
      } else {
        for (const warning of scan.warnings) progress.note(`${job.id}: ${warning}`);
        await writeScan(options, job.id, job.path, scan);
      }
      progress.update(++done);
    }
  } finally {
    progress.stop();
    await pool.close();
  }

  const good = cohort.scans.filter(({ id }) => !bad.has(id));
  await writeTables(out, good, '.zip');
  if (keepHu) await writeTables(nodeFiles.join(out, HU_FOLDER), good, '.nii.gz');
  const sizes = await Promise.all(good.map(async ({ id, path, part }) => [part?.bytes ?? (await scanBytes(path)), await scanBytes(volumePath(out, id))] as const));
  return {
    prepared: good.length,
    skipped,
    failed: bad.size,
    sourceBytes: sizes.reduce((sum, [source]) => sum + source, 0),
    jpegBytes: sizes.reduce((sum, [, jpeg]) => sum + jpeg, 0),
    problems: cohort.problems,
  };
}

const volumePath = (out: string, id: string): string => nodeFiles.join(out, VOLUME_FOLDER, `${id}.zip`);
const huPath = (out: string, id: string): string => nodeFiles.join(out, HU_FOLDER, `${id}.nii.gz`);

/** Files are written atomically, so that those that are there are whole. */
async function isPrepared(out: string, id: string, keepHu: boolean): Promise<boolean> {
  return (await nodeFiles.exists(volumePath(out, id))) && (!keepHu || (await nodeFiles.exists(huPath(out, id))));
}

async function writeScan({ out, grid, quality, keepHu }: PrepareCohortOptions, id: string, path: string, { values }: DecodedScan): Promise<void> {
  if (keepHu) await nodeFiles.writeFile(huPath(out, id), writeNiftiGz({ hu: toHuInt16(values), ...grid }, { level: 1, description: 'CT-Lite prepared' }));
  await nodeFiles.writeFile(volumePath(out, id), await encodeJpegVolume(values, grid, { quality, source: nodeFiles.join(path).split(/[\\/]/).pop()! }));
}

async function writeTables(folder: string, scans: readonly CohortScan[], ending: string): Promise<void> {
  const reports = scans.map(({ id, patientId, report }) => [`${id}${ending}`, patientId, report]);
  // A cohort without reports stays one.
  if (scans.some(({ report }) => report !== '')) await nodeFiles.writeFile(nodeFiles.join(folder, 'reports.csv'), utf8(formatCsv([['VolumeName', 'PatientID', 'Findings_EN'], ...reports])));
  const labels = scans.flatMap(({ id, patientId, labels: values }) => (values ? [[`${id}${ending}`, patientId, ...Array.from(values, (value) => (value === UNLABELLED ? '' : String(value)))]] : []));
  if (labels.length > 0) await nodeFiles.writeFile(nodeFiles.join(folder, 'labels.csv'), utf8(formatCsv([['VolumeName', 'PatientID', ...LABELS], ...labels])));
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What the volumes in a folder were made with: one folder holds one grid and one quality, and shards of one number. */
export async function checkRecord({ out, preset, grid, antialias, quality }: PrepareCohortOptions, more: Record<string, unknown> = {}): Promise<void> {
  const path = nodeFiles.join(out, RECORD_FILE);
  const record = `${JSON.stringify({ preset, grid, antialias, quality, ...more }, null, 2)}\n`;
  if (!(await nodeFiles.exists(path))) return nodeFiles.writeFile(path, utf8(record));
  const found = new TextDecoder().decode(await nodeFiles.readFile(path));
  if (found !== record) {
    const short = (text: string): string => text.replace(/\s+/g, ' ').trim();
    throw new Error(`prepare: ${out}: the folder was prepared with ${short(found)}, wanted ${short(record)}; choose another folder, or remove this one`);
  }
}
