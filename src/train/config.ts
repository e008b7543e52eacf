/** Settings of a run. They are saved with every checkpoint, so that a resumed run needs no flags. */
import type { FloatType } from '../autograd/index.ts';
import type { FastOptions, HeadKind, MemoryMeasures, PresetName, TextConfig } from '../model/index.ts';
import type { InputQuality } from './volumes.ts';

export const STAGES = ['teacher', 'fast', 'align'] as const;
export type StageName = (typeof STAGES)[number];

/** What of a model is trained: its projection heads alone, also the last block of each stack and the pooling, or all of it [O]. */
export const TRAINABLE_PARTS = ['heads', 'last-blocks', 'all'] as const;
export type TrainablePart = (typeof TRAINABLE_PARTS)[number];

export type StudentInput = 'jpeg' | 'grey' | 'raw';

export interface StageConfig {
  steps: number;
  /** Peak learning rate; warm-up and cosine as in schedule.ts. */
  learningRate: number;
}

/** A teacher that is not trained here: CT-CLIP with somebody's weights. */
export interface TeacherConfig {
  /** SHA-256 of its checkpoint. */
  weights: string;
  /** Input shape and spacing in mm, in CtLite's axes. */
  input: { shape: [number, number, number]; spacingMm: [number, number, number] };
  /** Token grid of the targets: what the student's and the teacher's have in common. */
  grid: [number, number, number];
  /** Channels of its tokens. */
  width: number;
}

export interface TrainConfig {
  preset: PresetName;
  seed: number;
  /** Distil from this one instead of a CtLite model of the teacher stage. */
  teacher?: TeacherConfig;
  /** Trained on drawn chests alone, the phantom cohort: its scores say nothing of people, and whoever shows them says so. */
  phantom?: true;
  /** Volumes at once. */
  batch: number;
  /** Volumes a step where it is more than `batch`: encoded part by part, with the gradients of all together (gradient caching). */
  virtualBatch?: number;
  /** How the models keep within memory; they compute the same up to rounding. None where not given. */
  measures?: MemoryMeasures;
  /** How the models' activations and their gradients are stored; f32 where not given. Parameters, losses and the optimiser are f32. */
  precision?: FloatType;
  /** Stages to run, in order: teacher (SigLIP on uncompressed input), fast (FAST alone), align (SigLIP + fastWeight·FAST). */
  stages: Partial<Record<StageName, StageConfig>>;
  /** JPEG quality of validation, test and prediction, and the range that training draws from [O]. */
  quality: number;
  trainQuality: [number, number];
  /** What the student reads, in training and in evaluation: JPEG where not given; 8-bit grey levels without JPEG; uncompressed HU. */
  input?: StudentInput;
  /** Projection heads: SFP (Block Tensor Train), dense, or one of its peers of as many parameters. */
  head: HeadKind;
  /** Heads of the teacher, where they are not the student's. */
  teacherHead?: HeadKind;
  /** Rank of Block Tensor Train heads, where it is not the preset's; their peers follow it. */
  headRank?: number;
  /** A text tower with weights of its own, in place of the preset's. */
  textTower?: TextTowerConfig;
  /** What the stages train of their model; all of it where not given. The rest stays as it is. */
  trainable?: TrainablePart;
  /** Starts the student from the teacher's weights where both have the same shape [O]. */
  studentFromTeacher: boolean;
  /**
   * Texts of the contrastive loss: whole reports, or sentences drawn from them, matched to every scan that has them [O]; with
   * `labelPrompts` also the 36 prompts of the labels, matched by the labels, where the scans have them [O]: then the evaluation
   * asks what training has named, and is zero-shot no more.
   */
  text: { unit: 'report' | 'sentence'; sentencesPerScan: number; maxTokens: number; labelPrompts?: boolean };
  /** Weight of FAST beside SigLIP in the align stage, and of its four terms (MODEL §4: all 1). */
  fastWeight: number;
  fast: { style: number; position: number; channel: number; feature: number };
  /** What FAST's Gram matrices weigh tokens by: their attention where not given, or nothing (Gatys; MODEL §4's other readings). */
  fastStyle?: FastOptions['style'];
  optimizer: {
    weightDecay: number;
    betas: [number, number];
    /** Largest global gradient norm. */
    clip: number;
    /** Factor on the learning rate of the text tower in the align stage, where the student starts from its teacher's. */
    textFactor: number;
    /** Factor on the learning rate of SigLIP's scale and bias: a group of their own without decay (MODEL §3). */
    logitFactor: number;
  };
  /** SigLIP's initial bias b. */
  logitBias: number;
  /** Steps between checkpoints and between validations. */
  checkpointEvery: number;
  validateEvery: number;
}

/** A pretrained text tower: all that a checkpoint has to know beside its weights and tokens. */
export interface TextTowerConfig {
  /** Name of the folder that it came from, for people. */
  name: string;
  text: TextConfig;
  /** Rows of the word table; the tokenizer may know fewer. */
  vocabularySize: number;
  /** Only reads: its output is cached, and the checkpoint holds it once. Otherwise it is trained. */
  frozen: boolean;
  /** SHA-256 of sizes and weights as they were read. */
  weights: string;
}

type Defaults = Omit<TrainConfig, 'preset' | 'seed'>;

const common: Omit<Defaults, 'batch' | 'stages' | 'checkpointEvery' | 'validateEvery'> = {
  quality: 75,
  trainQuality: [30, 95],
  head: 'sfp',
  studentFromTeacher: true,
  text: { unit: 'sentence', sentencesPerScan: 4, maxTokens: 256 },
  fastWeight: 0.5,
  fast: { style: 1, position: 1, channel: 1, feature: 1 },
  optimizer: { weightDecay: 0.05, betas: [0.9, 0.98], clip: 1, textFactor: 0.1, logitFactor: 10 },
  logitBias: -10,
};

/** The tiny run is sized for a machine without a GPU. */
const tiny: Defaults = {
  ...common,
  batch: 8,
  stages: { teacher: { steps: 54, learningRate: 1.2e-3 }, fast: { steps: 8, learningRate: 5e-5 }, align: { steps: 8, learningRate: 1e-4 } },
  text: { unit: 'sentence', sentencesPerScan: 1, maxTokens: 16, labelPrompts: true },
  logitBias: -2,
  checkpointEvery: 20,
  validateEvery: 60,
};

/** Defaults by preset [O]. */
const defaults: Record<PresetName, Defaults> = {
  tiny,
  'tiny-fine': tiny,
  small: {
    ...common,
    batch: 4,
    stages: { teacher: { steps: 4000, learningRate: 3e-4 }, fast: { steps: 2000, learningRate: 3e-4 }, align: { steps: 4000, learningRate: 3e-4 } },
    checkpointEvery: 200,
    validateEvery: 500,
  },
  base: {
    ...common,
    batch: 2,
    stages: { teacher: { steps: 20000, learningRate: 3e-4 }, fast: { steps: 10000, learningRate: 3e-4 }, align: { steps: 20000, learningRate: 3e-4 } },
    checkpointEvery: 500,
    validateEvery: 2000,
  },
};

/** The defaults of a preset with `changes` on top. */
export function makeConfig(preset: PresetName, seed: number, changes: Partial<Defaults> = {}): TrainConfig {
  return { preset, seed, ...structuredClone(defaults[preset]), ...changes };
}

/** Settings of a run that distils a foreign teacher: the student starts from nothing, and the align stage has the teacher stage's steps too [O]. */
export function withTeacher(config: TrainConfig, teacher: TeacherConfig): TrainConfig {
  const { teacher: own, ...stages } = config.stages;
  if (own && stages.align) stages.align = { steps: stages.align.steps + own.steps, learningRate: own.learningRate };
  return { ...config, teacher, stages, studentFromTeacher: false };
}

/** Shares `total` steps among the configured stages in their default proportion; every stage gets at least one. */
export function shareSteps(stages: TrainConfig['stages'], total: number): TrainConfig['stages'] {
  const entries = Object.entries(stages) as [StageName, StageConfig][];
  const sum = entries.reduce((steps, [, stage]) => steps + stage.steps, 0);
  if (total < entries.length) throw new Error(`train: ${total} steps are fewer than the ${entries.length} stages; give at least one step a stage, or one --stage`);
  let left = total;
  return Object.fromEntries(
    entries.map(([name, stage], index) => {
      const later = entries.length - 1 - index;
      const steps = later === 0 ? left : Math.min(left - later, Math.max(1, Math.round((total * stage.steps) / sum)));
      left -= steps;
      return [name, { ...stage, steps }];
    }),
  );
}

/** What of a run's settings is FAST's. */
export function fastOptions({ fast, fastStyle }: Pick<TrainConfig, 'fast' | 'fastStyle'>): FastOptions {
  return { weights: fast, ...(fastStyle && { style: fastStyle }) };
}

/** What the student of a run is evaluated on. */
export function studentQuality({ input = 'jpeg', quality }: Pick<TrainConfig, 'input' | 'quality'>): InputQuality {
  return input === 'jpeg' ? quality : input === 'grey' ? 'grey' : null;
}

/** Optimiser steps over all stages. */
export function totalSteps(config: TrainConfig): number {
  return STAGES.reduce((steps, stage) => steps + (config.stages[stage]?.steps ?? 0), 0);
}

/** Runs from so many steps on are tuned unless they are to be deterministic: shorter ones are over before it pays. */
const stepsWorthTuning = 500;

export function isTunedByDefault(config: TrainConfig): boolean {
  return totalSteps(config) >= stepsWorthTuning;
}
