/** The runs in this browser's own storage: one folder each, as `ct-lite train` writes them, with the cohort's decoded volumes beside. */
import type { Cohort, CohortScan, FileSystem } from '../src/data/index.ts';
import { CHECKPOINT_FILE, METRICS_FILE, parseMetrics, totalSteps, type MetricsRecord, type SkippedScan, type TrainConfig } from '../src/train/index.ts';
import type { RunSummary } from './protocol.ts';

export const RUNS_FOLDER = 'runs';
const CONFIG_FILE = 'config.json';
const COHORT_FILE = 'cohort.json';
export const REPORT_FILE = 'report.html';

/** As src/cli/run-folder.ts has it, so that Node goes on with an exported run. */
export interface RunConfig {
  version: string;
  command: string;
  startedAt: string;
  source: { data: string };
  phantom: boolean;
  train: TrainConfig;
}

/** A cohort whose scans were all read, with the size of each scan's own file. */
export interface StoredCohort extends Cohort {
  skipped: SkippedScan[];
  fileBytes: Record<string, number>;
}

export const runFolder = (id: string): string => `${RUNS_FOLDER}/${id}`;
export const checkpointPath = (id: string): string => `${runFolder(id)}/${CHECKPOINT_FILE}`;
export const volumePath = (id: string, scan: string): string => `${runFolder(id)}/volumes/${encodeURIComponent(scan)}.f32`;

const lockName = (id: string): string => `ct-lite run ${id}`;

/** Runs `work` while no other tab can: two at once would overwrite each other's checkpoints. */
export async function holdRun<T>(id: string, work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(lockName(id), { ifAvailable: true }, (lock) => {
    if (!lock) throw new Error(`Run ${id} is going on in another tab. Go on there, or close that tab first.`);
    return work();
  }) as Promise<T>;
}

/** Writes the settings of a new run. The cohort follows when its scans were read. */
export async function createRun(files: FileSystem, id: string, config: RunConfig): Promise<void> {
  await files.makeDirectory(`${runFolder(id)}/volumes`);
  await files.writeFile(`${runFolder(id)}/${CONFIG_FILE}`, json(config));
}

export async function readRunConfig(files: FileSystem, id: string): Promise<RunConfig> {
  return JSON.parse(new TextDecoder().decode(await files.readFile(`${runFolder(id)}/${CONFIG_FILE}`))) as RunConfig;
}

type LabelList = number[] | null;

export function writeCohort(files: FileSystem, id: string, cohort: StoredCohort): Promise<void> {
  const scans = cohort.scans.map((scan) => ({ ...scan, labels: scan.labels && [...scan.labels] }));
  return files.writeFile(`${runFolder(id)}/${COHORT_FILE}`, json({ ...cohort, scans }));
}

export async function readCohort(files: FileSystem, id: string): Promise<StoredCohort> {
  const stored = JSON.parse(new TextDecoder().decode(await files.readFile(`${runFolder(id)}/${COHORT_FILE}`))) as StoredCohort;
  return { ...stored, scans: stored.scans.map((scan): CohortScan => ({ ...scan, labels: scan.labels && Uint8Array.from(scan.labels as unknown as NonNullable<LabelList>) })) };
}

export async function readMetrics(files: FileSystem, id: string): Promise<MetricsRecord[]> {
  const path = `${runFolder(id)}/${METRICS_FILE}`;
  return (await files.exists(path)) ? parseMetrics(await files.readFile(path)) : [];
}

/** Runs that can go on or have ended, newest first. One whose scans were not all read when its tab was closed is removed. */
export async function listRuns(files: FileSystem): Promise<RunSummary[]> {
  if (!(await files.exists(RUNS_FOLDER))) return [];
  const held = new Set((await navigator.locks.query()).held?.map(({ name }) => name));
  const summaries: RunSummary[] = [];
  for (const { name: id, kind } of await files.list(RUNS_FOLDER)) {
    if (kind !== 'directory') continue;
    const busy = held.has(lockName(id));
    if (await files.exists(`${runFolder(id)}/${COHORT_FILE}`)) summaries.push(await summarize(files, id, busy));
    else if (!busy) await files.remove(runFolder(id));
  }
  return summaries.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

async function summarize(files: FileSystem, id: string, busy: boolean): Promise<RunSummary> {
  const config = await readRunConfig(files, id);
  const steps = (await readMetrics(files, id)).at(-1)?.globalStep ?? 0;
  const entries = [...(await files.list(runFolder(id))), ...(await files.list(`${runFolder(id)}/volumes`))];
  const has = (file: string): boolean => entries.some(({ name }) => name === file);
  return {
    id, busy, hasCheckpoint: has(CHECKPOINT_FILE), hasReport: has(REPORT_FILE), startedAt: config.startedAt, cohort: config.phantom ? 'drawn chests' : config.source.data,
    steps, totalSteps: totalSteps(config.train), finished: steps >= totalSteps(config.train), bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

/** What goes into an exported run: whatever of it is there. */
export const EXPORTED_FILES = [CONFIG_FILE, METRICS_FILE, CHECKPOINT_FILE, REPORT_FILE];
