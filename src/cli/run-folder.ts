/** The run folder: config.json, metrics.jsonl, checkpoint.safetensors, evaluation.json, report.html. */
import { createRequire } from 'node:module';
import { readFile, stat } from 'node:fs/promises';
import { nodeFiles } from '../platform/node-files.ts';
import { scanBytes } from '../platform/node-scan.ts';
import { CHECKPOINT_FILE, collectReport, renderReport, type Evaluation, type MemoryPlan, type TrainConfig, type VolumeStore } from '../train/index.ts';
import type { CohortSource, OpenedEngine, ReadableCohort } from './cohort-session.ts';
import type { TeacherSource } from './teacher.ts';

export interface RunConfig {
  version: string;
  command: string;
  startedAt: string;
  /** The folder that the run was started in: relative paths below are seen from there. Absent in runs of a browser. */
  startedIn?: string;
  source: CohortSource;
  /** True where the scans are the phantom cohort's. */
  phantom: boolean;
  /** What the first step starts from, for a run that is resumed before its first checkpoint. */
  init?: string;
  vocab?: string;
  textTower?: { folder: string; frozen: boolean };
  textCache?: string;
  /** The CT-CLIP checkpoint that the run distils. */
  teacher?: TeacherSource;
  /** How the run keeps within GPU memory. Absent in runs of a browser. */
  memory?: MemoryPlan;
  /** Kernel plans are measured after the first step of each stage; else they are the fixed ones. Absent in runs of earlier versions, which have those. */
  tune?: boolean;
  train: TrainConfig;
}

const CONFIG_FILE = 'config.json';

export async function writeRunConfig(folder: string, config: RunConfig): Promise<void> {
  await nodeFiles.makeDirectory(folder);
  await nodeFiles.writeFile(nodeFiles.join(folder, CONFIG_FILE), json(config));
}

/** Throws naming the folder where it holds no run. */
export async function readRunConfig(folder: string): Promise<RunConfig> {
  const path = nodeFiles.join(folder, CONFIG_FILE);
  if (!(await nodeFiles.exists(path))) throw new Error(`${folder}: holds no run (no ${CONFIG_FILE}); give the folder that ct-lite train wrote`);
  try {
    return JSON.parse(new TextDecoder().decode(await nodeFiles.readFile(path))) as RunConfig;
  } catch (cause) {
    throw new Error(`${path}: is not valid JSON; restore it or start a new run`, { cause });
  }
}

/** Removes what a kill in the middle of a write left beside the files: those are whole, it is not. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const { name, kind } of await nodeFiles.list(folder)) if (kind === 'file' && name.endsWith('.tmp')) await nodeFiles.remove(nodeFiles.join(folder, name));
}

/** A checkpoint by its file or by its run folder. */
export async function findCheckpoint(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new Error(`${path}: there is no such run or checkpoint; give a run folder or a .safetensors file that ct-lite train wrote`);
  if (found.isFile()) return path;
  const file = nodeFiles.join(path, CHECKPOINT_FILE);
  if (!(await nodeFiles.exists(file))) throw new Error(`${path}: the folder has no ${CHECKPOINT_FILE}; train first with ct-lite train, or give another folder`);
  return file;
}

export interface RunReport {
  folder: string;
  config: RunConfig;
  adapter: OpenedEngine;
  cohort: ReadableCohort;
  volumes: VolumeStore;
  parameters: number;
  seconds: number;
  evaluation: Evaluation | null;
  /** The teacher on uncompressed input, where there is one. */
  baseline: Evaluation | null;
  warnings: string[];
}

/** Writes report.html and evaluation.json. Returns the report's path. */
export async function writeRunReport(run: RunReport): Promise<string> {
  const { folder, evaluation, baseline } = run;
  if (evaluation) {
    const brief = (one: Evaluation): object => ({ mean: one.metrics.mean, meanInterval: one.intervals.measures.auroc.mean, labels: one.metrics.labels.map(({ roc: _, ...label }, index) => ({ ...label, interval: one.intervals.measures.auroc.labels[index] })) });
    await nodeFiles.writeFile(nodeFiles.join(folder, 'evaluation.json'), json({ student: evaluation === baseline ? null : brief(evaluation), teacherUncompressed: baseline && brief(baseline) }));
  }
  const path = nodeFiles.join(folder, 'report.html');
  await nodeFiles.writeFile(path, new TextEncoder().encode(renderReport(await collectReport({ ...run, files: nodeFiles, scanBytes: ({ path: scan, part }) => Promise.resolve(part?.bytes ?? scanBytes(scan)) }), await uPlotText())));
  return path;
}

async function uPlotText(): Promise<{ uPlotScript: string; uPlotStyle: string }> {
  const require = createRequire(import.meta.url);
  const [uPlotScript, uPlotStyle] = await Promise.all(['uplot/dist/uPlot.iife.min.js', 'uplot/dist/uPlot.min.css'].map((file) => readFile(require.resolve(file), 'utf8')));
  return { uPlotScript: uPlotScript!, uPlotStyle: uPlotStyle! };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}
