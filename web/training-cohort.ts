/** The cohort of a run in the browser: found as in Node, read once in workers, and kept decoded in the run's folder. */
import { openCohort } from '../src/data/index.ts';
import type { Cohort, CohortScan, FileSystem } from '../src/data/index.ts';
import { phantomCohort } from '../src/data/phantom/index.ts';
import { presets, type PresetName } from '../src/model/index.ts';
import type { ScanSource } from '../src/platform/browser-decode-job.ts';
import { openBrowserDecodePool } from '../src/platform/browser-decode-pool.ts';
import { listedBlob, listedFiles, type ListedFile } from '../src/platform/browser-files.ts';
import { readScans, VolumeStore } from '../src/train/index.ts';
import type { CohortChoice } from './protocol.ts';
import { volumePath, type StoredCohort } from './run-store.ts';

/** Decoded volumes kept in memory beside those in storage. */
const cacheBytes = 2 ** 29;

/** A cohort whose scans are not read yet. */
export interface FoundCohort {
  cohort: Cohort;
  sourceOf: (scan: CohortScan) => ScanSource;
}

/** Where Node would have the same cohort. */
export function cohortPath(choice: CohortChoice, seed: number): string {
  return choice.kind === 'phantom' ? `runs/phantom-seed${seed}-${choice.patients}+${choice.testPatients}` : choice.name;
}

export async function findCohort(choice: CohortChoice, seed: number): Promise<FoundCohort> {
  const data = cohortPath(choice, seed);
  const sources = new Map<string, ScanSource>();
  const listed = new Map<string, ListedFile>();
  if (choice.kind === 'phantom') {
    for (const { path, volume, render } of phantomCohort({ seed, patients: choice.patients, validationPatients: choice.testPatients })) {
      listed.set(`${data}/${path}`, { bytes: 0, read: async () => render().bytes });
      if (volume) sources.set(`${data}/${path}`, { kind: 'phantom', seed, volume, options: {} });
    }
  } else {
    for (const { path, file } of choice.files) {
      listed.set(`${data}/${path}`, listedBlob(file));
      sources.set(`${data}/${path}`, { kind: 'file', file });
    }
  }
  const cohort = await openCohort(listedFiles(listed), { data, seed });
  return { cohort, sourceOf: ({ path, part }) => partOf(sources.get(path), part) ?? folderSource(sources, path) };
}

/** A scan in a shard is a stretch of its file. */
function partOf(source: ScanSource | undefined, part: CohortScan['part']): ScanSource | undefined {
  return part && source?.kind === 'file' ? { kind: 'file', file: source.file.slice(part.offset, part.offset + part.bytes) } : source;
}

/** A DICOM series is a folder: its files. */
function folderSource(sources: ReadonlyMap<string, ScanSource>, folder: string): ScanSource {
  const files = [...sources].flatMap(([path, source]) => (source.kind === 'file' && path.startsWith(`${folder}/`) ? [{ path: path.slice(folder.length + 1), file: source.file }] : []));
  return { kind: 'folder', files };
}

/** Volumes of a run, from its folder. */
export function storedVolumes(files: FileSystem, id: string, preset: PresetName): VolumeStore {
  return new VolumeStore(async (scan) => valuesOf(await files.readFile(volumePath(id, scan.id))), presets[preset].grid.shape, cacheBytes);
}

export interface ReadingHost {
  onProgress: (done: number, total: number) => void;
  onNote: (text: string) => void;
  checkStop: () => void;
}

/** Reads every scan in workers into the run's folder. @throws where too many cannot be read, or the storage is full. */
export async function readCohortInto(files: FileSystem, id: string, { cohort, sourceOf }: FoundCohort, preset: PresetName, host: ReadingHost): Promise<StoredCohort> {
  const { grid, antialias } = presets[preset];
  const pool = openBrowserDecodePool(new URL('decode-worker.js', import.meta.url));
  const fileBytes: Record<string, number> = {};
  let failure: unknown = null;
  const decode = async (scan: CohortScan): Promise<Float32Array> => {
    const { values, warnings, fileBytes: bytes } = await pool.decode({ name: scan.id, source: sourceOf(scan), grid, antialias, ...(scan.metadata && { metadata: scan.metadata }) });
    for (const warning of warnings) host.onNote(`${scan.id}: ${warning}`);
    fileBytes[scan.id] = bytes;
    // A full storage is no fault of the scan's: it ends the reading.
    await files.writeFile(volumePath(id, scan.id), new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).catch((error: unknown) => (failure ??= error));
    return values;
  };
  try {
    for (const problem of cohort.problems) host.onNote(problem);
    const skipped = await readScans(cohort.scans, new VolumeStore(decode, grid.shape, 0), {
      parallel: pool.workers + 1,
      onProgress: (done) => host.onProgress(done, cohort.scans.length),
      onNote: host.onNote,
      checkStop: () => {
        if (failure) throw failure;
        host.checkStop();
      },
    });
    if (failure) throw failure;
    const bad = new Set(skipped.map((scan) => scan.id));
    return { ...cohort, scans: cohort.scans.filter((scan) => !bad.has(scan.id)), skipped, fileBytes };
  } finally {
    pool.close();
  }
}

function valuesOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
}
