/** A run of the smallest preset on volumes made in memory: what the tests of the training loop share. */
import type { Engine } from '../../../src/autograd/index.ts';
import { allLabelPrompts, buildVocabulary, initJpegCodec, LABELS, loadTokenizer, type Cohort, type CohortScan, type FileSystem } from '../../../src/data/index.ts';
import { presets, type EncoderConfig } from '../../../src/model/index.ts';
import { nodeJpegWasm } from '../../../src/platform/node-jpeg.ts';
import { STAGES, type TrainConfig } from '../../../src/train/config.ts';
import { CHECKPOINT_FILE, decodeCheckpoint, globalStepOf, METRICS_FILE, parseMetrics, train, VolumeStore, type RunState, type StepProfiler, type StepRecord, type TeacherTargets, type RunTuning, type TrainerHost } from '../../../src/train/index.ts';
import type { TrainingOutcome } from '../../../src/train/trainer.ts';
import { gaussian, seededRandom, uniform } from '../../../src/train/sampler.ts';
import { memoryFiles } from '../../unit/data/memory-files.ts';

export const folder = 'run';
/** Read when needed: see `smallerPreset`. */
const inputShape = (): [number, number, number] => presets.tiny.grid.shape;

/**
 * Puts a model a twentieth the size of `tiny` in its place until the function that it gives is called: for tests of many steps,
 * in which the numbers play no part.
 */
export function smallerPreset(): () => void {
  const { tiny } = presets;
  const conv = (channels: number): EncoderConfig['stem'][0] => ({ channels, kernel: [2, 4, 4], stride: [2, 4, 4], padding: [0, 0, 0] });
  presets.tiny = {
    ...tiny,
    grid: { shape: [8, 32, 32], spacingMm: [45, 11.25, 11.25] },
    encoder: { ...tiny.encoder, input: [8, 32, 32], stem: [conv(8), conv(16)], width: 16, heads: 2 },
    text: { width: 16, layers: 1, heads: 2, feedForward: 16, maxPositions: 16 },
    head: { ...tiny.head, latent: 16, blockLength: 4, outFactors: [4, 4], rank: 1 },
  };
  return () => void (presets.tiny = tiny);
}

/** Every number stands here, so that a change of the defaults moves no pinned value. */
export function tinyConfig(changes: Partial<TrainConfig> = {}): TrainConfig {
  return {
    preset: 'tiny', seed: 7, batch: 2, head: 'sfp', quality: 75, trainQuality: [40, 90], studentFromTeacher: false, logitBias: -2,
    stages: { teacher: { steps: 3, learningRate: 1e-3 }, fast: { steps: 3, learningRate: 5e-4 }, align: { steps: 3, learningRate: 5e-4 } },
    text: { unit: 'sentence', sentencesPerScan: 2, maxTokens: 16 },
    fastWeight: 0.5,
    fast: { style: 1, position: 1, channel: 1, feature: 1 },
    optimizer: { weightDecay: 0.05, betas: [0.9, 0.98], clip: 1, textFactor: 0.1, logitFactor: 10 },
    checkpointEvery: 100, validateEvery: 100,
    ...changes,
  };
}

/** Four training and two validation scans; labels and reports say which half of the volume is bright. */
export function tinyCohort(): Cohort {
  const scans = Array.from({ length: 6 }, (_, n): CohortScan => {
    const bright = n % 2;
    return {
      id: `scan${n}`, patientId: `patient${n}`, reportId: `report${n}`, path: `scan${n}`, split: n < 4 ? 'train' : 'validation',
      report: `${bright ? 'There is a pleural effusion.' : 'There is no effusion.'} Number ${'abcdef'[n]} is seen. The heart is normal.`,
      labels: Uint8Array.from(LABELS, (_, label) => (label % 2 === bright ? 1 : 0)),
    };
  });
  return { name: 'tiny', scans, problems: [], splitTooSmall: false };
}

/** Smooth noise with one bright half. */
export function tinyVolume({ id }: CohortScan): Float32Array {
  const n = Number(id.slice(4));
  const random = seededRandom(n, 'volume');
  const [depth, height, width] = inputShape();
  const [phase, frequency] = [uniform(random, 0, 6), uniform(random, 0.05, 0.2)];
  const values = new Float32Array(depth * height * width);
  for (let at = 0; at < values.length; at++) {
    const x = at % width;
    const y = Math.floor(at / width) % height;
    const bright = (n % 2 ? x > width / 2 : x < width / 2) ? 0.3 : -0.3;
    values[at] = Math.max(-1, Math.min(1, bright + 0.4 * Math.sin(phase + frequency * (x + 2 * y)) + gaussian(random, 0, 0.05)));
  }
  return values;
}

export interface TinyRun {
  files: FileSystem;
  cohort: Cohort;
  state: RunState;
  notes: string[];
  /** Runs what is left; while the last of `stopAfter` steps of it is computed, the user asks to stop. */
  train(stopAfter?: number, onStep?: (record: StepRecord) => void, profiler?: StepProfiler): Promise<TrainingOutcome>;
  records(): Promise<StepRecord[]>;
  /** The run as a new process finds it: read from its checkpoint. */
  reopened(): Promise<TinyRun>;
  dispose(): void;
}

interface TinyRunOptions {
  config?: TrainConfig;
  decode?: (scan: CohortScan) => Float32Array;
  /** Of a foreign teacher. */
  targets?: TeacherTargets;
  tuning?: RunTuning;
}

export function tinyRun(engine: Engine, { config = tinyConfig(), decode = tinyVolume, targets, tuning }: TinyRunOptions = {}): TinyRun {
  const vocabulary = buildVocabulary([...tinyCohort().scans.map(({ report }) => report), ...allLabelPrompts()], { minCount: 1 });
  const stage = STAGES.find((name) => config.stages[name])!;
  const state: RunState = { config, vocabulary, tokenizer: loadTokenizer({ vocabTxt: vocabulary }), position: { stage, step: 0 }, teacher: null, student: null, projectors: null, optimizer: null };
  return open(engine, state, memoryFiles({}), decode, targets, tuning);
}

function open(engine: Engine, state: RunState, files: FileSystem, decode: (scan: CohortScan) => Float32Array, targets?: TeacherTargets, tuning?: RunTuning): TinyRun {
  initJpegCodec(nodeJpegWasm);
  const cohort = tinyCohort();
  const notes: string[] = [];
  const records = async (): Promise<StepRecord[]> => {
    const path = files.join(folder, METRICS_FILE);
    if (!(await files.exists(path))) return [];
    return parseMetrics(await files.readFile(path)).filter((record) => record.kind === 'step');
  };
  return {
    files, cohort, state, notes, records,
    train: (stopAfter = Infinity, onStep, profiler) => {
      const begun = globalStepOf(state);
      const host: TrainerHost = {
        files, folder, ...(targets && { targets }), ...(profiler && { profiler }), ...(tuning && { tuning }),
        volumes: new VolumeStore(async (scan) => decode(scan), inputShape(), 1e8),
        onStep: (record) => onStep?.(record),
        onNote: (text) => notes.push(text),
        // Not by the steps that `onStep` told: the loop is ahead of them.
        stopRequested: () => globalStepOf(state) - begun >= stopAfter,
      };
      return train(engine, state, cohort, host);
    },
    reopened: async () => {
      const path = files.join(folder, CHECKPOINT_FILE);
      return open(engine, decodeCheckpoint(engine, await files.readFile(path), path), files, decode, targets, tuning);
    },
    dispose: () => {
      for (const held of [state.teacher, state.student, state.projectors, state.optimizer, state.lossScale]) held?.dispose();
    },
  };
}
