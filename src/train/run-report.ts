/** What a run's report says, gathered from its folder, its cohort and its evaluation; report.ts renders it. */
import { encode as encodePng } from 'fast-png';
import { encodeJpegVolume, greyToValues, psnr, type Cohort, type CohortScan, type FileSystem } from '../data/index.ts';
import { presets } from '../model/index.ts';
import { STAGES, type TrainConfig } from './config.ts';
import type { Evaluation } from './evaluate.ts';
import type { ReportData, SliceExample } from './report.ts';
import { METRICS_FILE, parseMetrics, type StepRecord } from './trainer.ts';
import type { VolumeStore } from './volumes.ts';

export interface ReportSource {
  files: FileSystem;
  /** The run's folder. */
  folder: string;
  config: { version: string; command: string; startedAt: string; train: TrainConfig };
  adapter: ReportData['adapter'];
  cohort: Pick<Cohort, 'name' | 'scans' | 'splitTooSmall'> & { skipped: { id: string; reason: string }[] };
  volumes: VolumeStore;
  /** Size of a scan's own file in bytes. */
  scanBytes: (scan: CohortScan) => Promise<number>;
  /** Of the student, or of the teacher where there is none yet. */
  parameters: number;
  seconds: number;
  evaluation: Evaluation | null;
  warnings: string[];
}

const examplesShown = 3;
/** Values of model inputs lie in [−1, 1]. */
const valueRange = 2;

/** Reads metrics.jsonl and makes example slices. */
export async function collectReport({ files, folder, config, adapter, cohort, volumes, scanBytes, parameters, seconds, evaluation, warnings }: ReportSource): Promise<ReportData> {
  const { train } = config;
  const metricsPath = files.join(folder, METRICS_FILE);
  const records = (await files.exists(metricsPath)) ? parseMetrics(await files.readFile(metricsPath)) : [];
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
      steps: steps.length, batch: train.virtualBatch ?? train.batch, parameters,
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
    distillation: records.filter((record) => record.kind === 'distillation'),
    evaluation: evaluation && { split: cohort.splitTooSmall ? 'train' : 'test', ...evaluation },
    slices: await sliceExamples(cohort.scans, volumes, train, scanBytes),
    config,
  };
}

const stageTitles = { teacher: 'teacher: SigLIP on uncompressed input', fast: 'fast: FAST distillation', align: 'align: SigLIP + FAST on JPEG input' };

function lossChart(stage: (typeof STAGES)[number], records: readonly StepRecord[]): ReportData['losses'] {
  if (!records.length) return [];
  const names = Object.keys(records[0]!.losses);
  return [{ title: stageTitles[stage], steps: records.map(({ step }) => step), series: names.map((name) => ({ name, values: records.map(({ losses }) => losses[name] ?? null) })) }];
}

async function sliceExamples(scans: readonly CohortScan[], volumes: VolumeStore, { preset, quality }: TrainConfig, scanBytes: ReportSource['scanBytes']): Promise<SliceExample[]> {
  const { grid } = presets[preset];
  const [depth, height, width] = grid.shape;
  const test = scans.filter(({ split }) => split === 'test');
  const shown = (test.length ? test : scans).slice(0, examplesShown);
  return Promise.all(
    shown.map(async (scan) => {
      const raw = await volumes.raw(scan);
      const jpeg = greyToValues(await volumes.jpeg(scan, quality));
      const first = Math.floor(depth / 2) * height * width;
      const slice = (values: Float32Array): SliceExample['raw'] => ({ mime: 'image/png', bytes: greyPng(values.subarray(first, first + height * width), width, height) });
      const zip = await encodeJpegVolume(raw, grid, { quality, source: scan.id });
      return {
        id: scan.id, raw: slice(raw), jpeg: slice(jpeg), shape: grid.shape, spacingMm: grid.spacingMm, quality,
        rawFileBytes: await scanBytes(scan), gridBytes: 2 * raw.length, jpegBytes: zip.length, psnrDb: psnr(raw, jpeg, valueRange),
      };
    }),
  );
}

/** Grey PNG of values in [−1, 1]. */
function greyPng(values: Float32Array, width: number, height: number): Uint8Array {
  return encodePng({ width, height, channels: 1, depth: 8, data: Uint8Array.from(values, (value) => Math.round((value + 1) * 127.5)) });
}
