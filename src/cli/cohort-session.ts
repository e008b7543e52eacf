/** What train, eval and predict share: an engine with its description, and a cohort whose readable scans are known. */
import { Option, type Command } from 'commander';
import { Engine } from '../autograd/index.ts';
import { initJpegCodec, openCohort, readColumnNames, readLabelMap, type Cohort, type CohortScan, type DecodedScan, type OpenCohortOptions } from '../data/index.ts';
import { Device } from '../engine/index.ts';
import type { Preset } from '../model/index.ts';
import { describeAdapter, requestNodeAdapter } from '../platform/node-adapter.ts';
import type { DecodeJob } from '../platform/node-decode-file.ts';
import { openDecodePool, type DecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { nodeJpegWasm } from '../platform/node-jpeg.ts';
import { expandShards } from '../platform/node-shards.ts';
import { createProgress } from '../platform/progress.ts';
import { readScans, VolumeStore, type SkippedScan } from '../train/index.ts';
import { Interrupted } from './interrupt.ts';

/** Decoded volumes kept in memory; what does not fit is decoded again when needed. */
const volumeCacheBytes = 2 * 2 ** 30;

export interface OpenedEngine {
  engine: Engine;
  /** One line for people. */
  line: string;
  kind: 'hardware' | 'software';
}

export async function openNodeEngine(adapterName: string | undefined): Promise<OpenedEngine> {
  const { adapter, ...description } = await requestNodeAdapter(adapterName === undefined ? {} : { adapter: adapterName });
  return { engine: new Engine(await Device.open(adapter, { collectGarbage: description.collectGarbage })), line: describeAdapter(description), kind: description.kind };
}

/** Where a cohort lies, as the flags and config.json give it. */
export interface CohortSource {
  data: string;
  reports?: string;
  labels?: string;
  /** JSON file that names the tables' columns. */
  columns?: string;
  /** JSON file with the labels of Rad-ChestCT's abnormalities. */
  labelMap?: string;
}

/** What openCohort takes: the files that the flags name read, shards found. */
export async function cohortOptions({ data, reports, labels, columns, labelMap }: CohortSource, seed: number): Promise<OpenCohortOptions> {
  const shards = await expandShards(data);
  return {
    data, seed, ...(shards && { shards }), ...(reports !== undefined && { reports }), ...(labels !== undefined && { labels }),
    ...(columns !== undefined && { columns: readColumnNames(await nodeFiles.readFile(columns), columns) }),
    ...(labelMap !== undefined && { labelMap: readLabelMap(await nodeFiles.readFile(labelMap), labelMap) }),
  };
}

/** The flags of every command that reads a cohort. */
export function withCohortFlags(command: Command, needsData: boolean): Command {
  const data = new Option('--data <folder>', "scans (.nii.gz, .nii, .npz, folders or .zip of DICOM slices, prepared JPEG volumes): CT-RATE's or Rad-ChestCT's layout, or any folder with CSVs; or shards, a quoted \"folder/shard-*.tar\"");
  return command
    .addOption(needsData ? data.makeOptionMandatory() : data)
    .option('--reports <csv>', 'VolumeName with Findings_EN and Impressions_EN; without it, those found below the folder')
    .option('--labels <csv>', 'VolumeName and a column a label, 0, 1 or empty; without it, those found below the folder')
    .option('--columns <json>', 'the names of the columns in your own CSV files (docs/COHORTS.md)')
    .option('--label-map <json>', "Rad-ChestCT's abnormalities to the 18 labels, in place of the one that comes along (docs/COHORTS.md)");
}

/** The cohort's flags alone, those that were given. */
export function cohortSource({ data, reports, labels, columns, labelMap }: Partial<CohortSource>): CohortSource {
  return { data: data!, ...(reports && { reports }), ...(labels && { labels }), ...(columns && { columns }), ...(labelMap && { labelMap }) };
}

export interface ReadableCohort extends Cohort {
  /** Scans that could not be read, left out of `scans`. */
  skipped: SkippedScan[];
}

export interface CohortSession {
  cohort: ReadableCohort;
  volumes: VolumeStore;
  pool: DecodePool;
}

/** What a model's volumes are: a preset is one. */
export type VolumeInput = Pick<Preset, 'grid' | 'antialias'>;

export interface CohortSessionOptions {
  signal?: AbortSignal;
  /** The scans that will be used; default all. */
  needed?: (cohort: Cohort) => CohortScan[];
  /** Is told of every scan that was decoded; one may be twice. */
  onDecoded?: (scan: CohortScan, decoded: DecodedScan) => void;
}

/**
 * Opens a cohort and reads every scan that is needed once: a bad one is named and left out, more than a tenth end with an error. `note`
 * gets what does not fit, in sentences.
 */
export async function openCohortSession(source: CohortSource, input: VolumeInput, seed: number, note: (text: string) => void, { signal, needed, onDecoded }: CohortSessionOptions = {}): Promise<CohortSession> {
  initJpegCodec(nodeJpegWasm);
  const cohort = await openCohort(nodeFiles, await cohortOptions(source, seed));
  for (const problem of cohort.problems) note(problem);
  const pool = openDecodePool();
  try {
    const volumes = openVolumeStore(pool, input, onDecoded);
    const skipped = await readAll(needed?.(cohort) ?? cohort.scans, volumes, pool, note, signal);
    const bad = new Set(skipped.map(({ id }) => id));
    return { cohort: { ...cohort, scans: cohort.scans.filter(({ id }) => !bad.has(id)), skipped }, volumes, pool };
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** Where a scan's bytes are and what is known of them, for a decoding thread. */
export function decodeJob({ id, path, part, metadata }: CohortScan): Pick<DecodeJob, 'path' | 'name' | 'part' | 'metadata'> {
  return { name: id, path, ...(part && { part }), ...(metadata && { metadata }) };
}

export function openVolumeStore(pool: DecodePool, { grid, antialias }: VolumeInput, onDecoded?: CohortSessionOptions['onDecoded']): VolumeStore {
  const decode = async (scan: CohortScan): Promise<Float32Array | Uint8Array> => {
    const decoded = await pool.decode({ ...decodeJob(scan), grid, antialias });
    onDecoded?.(scan, decoded);
    return decoded.grey ?? decoded.values;
  };
  return new VolumeStore(decode, grid.shape, volumeCacheBytes, (values, quality, { id }) => pool.compress({ name: id, values, shape: grid.shape, quality }));
}

async function readAll(scans: readonly CohortScan[], volumes: VolumeStore, pool: DecodePool, note: (text: string) => void, signal?: AbortSignal): Promise<SkippedScan[]> {
  const progress = createProgress({ title: 'reading scans', total: scans.length });
  try {
    const skipped = await readScans(scans, volumes, {
      parallel: Math.max(1, pool.workers + 1),
      onProgress: (done) => progress.update(done),
      onNote: (text) => progress.note(text),
      checkStop: () => {
        if (signal?.aborted) throw new Interrupted();
      },
    });
    if (skipped.length) note(`${skipped.length} of ${scans.length} scans skipped, named above`);
    return skipped;
  } finally {
    progress.stop();
  }
}
