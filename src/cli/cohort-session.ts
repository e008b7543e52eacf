/** What train, eval and predict share: an engine with its description, and a cohort whose readable scans are known. */
import { Engine } from '../autograd/index.ts';
import { initJpegCodec, openCohort, type Cohort, type CohortScan } from '../data/index.ts';
import { Device } from '../engine/index.ts';
import { presets, type PresetName } from '../model/index.ts';
import { describeAdapter, requestNodeAdapter } from '../platform/node-adapter.ts';
import { openDecodePool, type DecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { nodeJpegWasm } from '../platform/node-jpeg.ts';
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
  return { engine: new Engine(await Device.open(adapter)), line: describeAdapter(description), kind: description.kind };
}

/** Where a cohort lies, as the flags and config.json give it. */
export interface CohortSource {
  data: string;
  reports?: string;
  labels?: string;
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

/**
 * Opens a cohort and reads every scan once: a bad one is named and left out, more than a tenth end with an error. `note` gets
 * what does not fit, in sentences.
 */
export async function openCohortSession(source: CohortSource, preset: PresetName, seed: number, note: (text: string) => void, signal?: AbortSignal): Promise<CohortSession> {
  initJpegCodec(nodeJpegWasm);
  const cohort = await openCohort(nodeFiles, { data: source.data, seed, ...(source.reports !== undefined && { reports: source.reports }), ...(source.labels !== undefined && { labels: source.labels }) });
  for (const problem of cohort.problems) note(problem);
  const pool = openDecodePool();
  try {
    const volumes = openVolumeStore(pool, preset);
    const skipped = await readAll(cohort.scans, volumes, pool, note, signal);
    const bad = new Set(skipped.map(({ id }) => id));
    return { cohort: { ...cohort, scans: cohort.scans.filter(({ id }) => !bad.has(id)), skipped }, volumes, pool };
  } catch (error) {
    await pool.close();
    throw error;
  }
}

export function openVolumeStore(pool: DecodePool, preset: PresetName): VolumeStore {
  const { grid, antialias } = presets[preset];
  const decode = async (scan: CohortScan): Promise<Float32Array> => (await pool.decode({ path: scan.path, name: scan.id, grid, antialias })).values;
  return new VolumeStore(decode, grid.shape, volumeCacheBytes);
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
