/** The run folder: config.json, metrics.jsonl, checkpoint.safetensors, evaluation.json, report.html. */
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { encode as encodePng } from 'fast-png';
import { encodeJpegVolume, type CohortScan } from '../data/index.ts';
import { presets } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { CHECKPOINT_FILE, parseMetrics, METRICS_FILE, renderReport, STAGES, type Evaluation, type ReportData, type SliceExample, type StepRecord, type TrainConfig, type VolumeStore } from '../train/index.ts';
import type { CohortSource, OpenedEngine, ReadableCohort } from './cohort-session.ts';
import type { TeacherSource } from './teacher.ts';

export interface RunConfig {
  version: string;
  command: string;
  startedAt: string;
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
  train: TrainConfig;
}

const CONFIG_FILE = 'config.json';
const examplesShown = 3;

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
  const isFile = /\.safetensors$/.test(path);
  const file = isFile ? path : nodeFiles.join(path, CHECKPOINT_FILE);
  if (!(await nodeFiles.exists(file))) throw new Error(`${path}: ${isFile ? 'there is no such checkpoint' : `the folder has no ${CHECKPOINT_FILE}`}; train first with ct-lite train`);
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
  await nodeFiles.writeFile(path, new TextEncoder().encode(renderReport(await reportData(run), await uPlotText())));
  return path;
}

async function reportData({ folder, config, adapter, cohort, volumes, parameters, seconds, evaluation, warnings }: RunReport): Promise<ReportData> {
  const { train } = config;
  const metricsPath = nodeFiles.join(folder, METRICS_FILE);
  const records = (await nodeFiles.exists(metricsPath)) ? parseMetrics(await nodeFiles.readFile(metricsPath)) : [];
  const steps = records.filter((record) => record.kind === 'step');
  const validations = records.filter((record) => record.kind === 'validation');
  const stages = STAGES.filter((stage) => train.stages[stage]);
  const bySplit = <T>(count: (scans: CohortScan[]) => T): Record<'train' | 'validation' | 'test', T> => ({
    train: count(cohort.scans.filter(({ split }) => split === 'train')),
    validation: count(cohort.scans.filter(({ split }) => split === 'validation')),
    test: count(cohort.scans.filter(({ split }) => split === 'test')),
  });
  return {
    title: `CT-Lite run, preset ${train.preset}`,
    warnings,
    run: {
      version: config.version, command: config.command, startedAt: config.startedAt, seconds, preset: train.preset, stages, seed: train.seed,
      steps: steps.length, batch: train.batch, parameters,
      volumesPerSecond: steps.length ? steps.length / steps.reduce((sum, { volumesPerSecond }) => sum + 1 / volumesPerSecond, 0) : null,
      peakGpuBytes: steps.at(-1)?.gpuBytes ?? null,
    },
    adapter: { line: adapter.line, kind: adapter.kind },
    cohort: {
      name: cohort.name,
      scans: bySplit((scans) => scans.length),
      patients: bySplit((scans) => new Set(scans.map(({ patientId }) => patientId)).size),
      skipped: cohort.skipped,
    },
    losses: stages.flatMap((stage) => lossChart(stage, steps.filter((record) => record.stage === stage))),
    validation: validations.length ? { steps: validations.map(({ globalStep }) => globalStep), auroc: validations.map(({ meanAuroc }) => meanAuroc) } : null,
    evaluation: evaluation && { split: cohort.splitTooSmall ? 'train' : 'test', ...evaluation },
    slices: await sliceExamples(cohort, volumes, train),
    config,
  };
}

const stageTitles = { teacher: 'teacher: SigLIP on uncompressed input', fast: 'fast: FAST distillation', align: 'align: SigLIP + FAST on JPEG input' };

function lossChart(stage: (typeof STAGES)[number], records: readonly StepRecord[]): ReportData['losses'] {
  if (!records.length) return [];
  const names = Object.keys(records[0]!.losses);
  return [{ title: stageTitles[stage], steps: records.map(({ step }) => step), series: names.map((name) => ({ name, values: records.map(({ losses }) => losses[name] ?? null) })) }];
}

async function sliceExamples(cohort: ReadableCohort, volumes: VolumeStore, { preset, quality }: TrainConfig): Promise<SliceExample[]> {
  const { grid } = presets[preset];
  const [depth, height, width] = grid.shape;
  const test = cohort.scans.filter(({ split }) => split === 'test');
  const shown = (test.length ? test : cohort.scans).slice(0, examplesShown);
  return Promise.all(
    shown.map(async (scan) => {
      const raw = await volumes.raw(scan);
      const jpeg = await volumes.jpeg(scan, quality);
      const first = Math.floor(depth / 2) * height * width;
      const slice = (values: Float32Array): SliceExample['raw'] => ({ mime: 'image/png', bytes: greyPng(values.subarray(first, first + height * width), width, height) });
      const zip = await encodeJpegVolume(raw, grid, { quality, source: scan.id });
      return {
        id: scan.id, raw: slice(raw), jpeg: slice(jpeg), shape: grid.shape, spacingMm: grid.spacingMm, quality,
        rawFileBytes: scan.part?.bytes ?? (await stat(scan.path)).size, gridBytes: 2 * raw.length, jpegBytes: zip.length, psnrDb: psnr(raw, jpeg),
      };
    }),
  );
}

/** Grey PNG of values in [−1, 1]. */
export function greyPng(values: Float32Array, width: number, height: number): Uint8Array {
  return encodePng({ width, height, channels: 1, depth: 8, data: Uint8Array.from(values, (value) => Math.round((value + 1) * 127.5)) });
}

/** Over the window of 2 (2000 HU); null where equal. */
function psnr(a: Float32Array, b: Float32Array): number | null {
  let squares = 0;
  for (let i = 0; i < a.length; i++) squares += (a[i]! - b[i]!) ** 2;
  return squares === 0 ? null : 10 * Math.log10((4 * a.length) / squares);
}

async function uPlotText(): Promise<{ uPlotScript: string; uPlotStyle: string }> {
  const require = createRequire(import.meta.url);
  const [uPlotScript, uPlotStyle] = await Promise.all(['uplot/dist/uPlot.iife.min.js', 'uplot/dist/uPlot.min.css'].map((file) => readFile(require.resolve(file), 'utf8')));
  return { uPlotScript: uPlotScript!, uPlotStyle: uPlotStyle! };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}
