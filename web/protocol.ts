/** What the page and its two workers say to each other. */
import type { Ceiling } from '../bench/ceiling.ts';
import type { Outcome } from '../bench/harness.ts';
import type { Size3 } from '../src/data/index.ts';
import type { PresetName } from '../src/model/index.ts';
import type { StageName, StepRecord, TrainablePart, ValidationRecord } from '../src/train/index.ts';

/** A file with the path that it has below the folder that was given. */
export interface GivenFile {
  path: string;
  file: File;
}

/** A scan to open: one file, the files of a DICOM folder, or a phantom drawn for trying the page. */
export type GivenScan = { kind: 'files'; files: GivenFile[] } | { kind: 'phantom'; seed: number };

export interface OpenedScan {
  name: string;
  /** [D, Y, X] and mm. */
  shape: Size3;
  spacingMm: Size3;
  warnings: string[];
  fileBytes: number;
  /** As 16-bit integers, without compression. */
  rawBytes: number;
  /** A .nii of it, for the viewer. */
  nifti: Uint8Array;
}

/** The scan's own voxels, or the grid that the loaded model reads. */
export type CompressionGrid = 'scan' | 'model';

export interface CompressedScan {
  quality: number;
  shape: Size3;
  spacingMm: Size3;
  rawBytes: number;
  jpegBytes: number;
  /** dB over the window of 2000 HU; null where equal. */
  psnrDb: number | null;
  /** null where slices are smaller than its window. */
  ssim: number | null;
  /** Both on the grid that was asked for. */
  rawNifti: Uint8Array;
  jpegNifti: Uint8Array;
}

export type CheckpointSource = { kind: 'file'; file: File } | { kind: 'demo' } | { kind: 'run'; id: string };

export interface LoadedCheckpoint {
  name: string;
  preset: string;
  quality: number;
  /** Steps done and to do. */
  steps: number;
  totalSteps: number;
  /** For people: the adapter that computes. */
  adapter: string;
  /** Known to have seen drawn chests only: its scores say nothing of people. */
  phantom: boolean;
}

export interface Prediction {
  /** One a label, in their order. */
  probabilities: number[];
  quality: number;
  seconds: number;
  warnings: string[];
  /** Attention over the scan as a .nii: 0 at the mean, 1000 at the largest. */
  heatNifti: Uint8Array;
}

export interface Answer {
  /** The finding as the model was asked about it. */
  statement: string;
  probability: number;
  /** Cosine of the scan's and the statement's embeddings. */
  similarity: number;
  /** Words that the model's vocabulary does not hold. */
  unknownWords: string[];
}

export interface ScanMethods {
  open: { args: { scan: GivenScan }; result: OpenedScan };
  compress: { args: { quality: number; grid: CompressionGrid }; result: CompressedScan };
  loadCheckpoint: { args: { source: CheckpointSource }; result: LoadedCheckpoint };
  predict: { args: { quality: number }; result: Prediction };
  ask: { args: { text: string }; result: Answer };
}

export type CohortChoice = { kind: 'phantom'; patients: number; testPatients: number } | { kind: 'files'; name: string; files: GivenFile[] };

/** Sizes of new models that the page offers; `base` is beyond what a tab holds. */
export type NewPreset = Extract<PresetName, 'tiny' | 'small'>;

/** What the first step starts from. */
export type StartChoice = { kind: 'new'; preset: NewPreset } | { kind: 'file'; file: File } | { kind: 'demo' };

export interface RunSettings {
  seed: number;
  /** Optimiser steps over all stages. */
  steps: number;
  batch: number;
  /** Peak learning rate, or the preset's own. */
  learningRate: number | null;
  trainable: TrainablePart;
  checkpointEvery: number;
}

export interface RunSummary {
  id: string;
  startedAt: string;
  cohort: string;
  steps: number;
  totalSteps: number;
  finished: boolean;
  /** Another tab holds it. */
  busy: boolean;
  hasCheckpoint: boolean;
  hasReport: boolean;
  bytes: number;
}

export interface RunOutcome {
  id: string;
  /** `stopped`: before its last step, saved and evaluated. */
  outcome: 'finished' | 'paused' | 'stopped';
}

export interface TrainingMethods {
  begin: { args: { cohort: CohortChoice; start: StartChoice; settings: RunSettings }; result: RunOutcome };
  resume: { args: { id: string }; result: RunOutcome };
  /** Ends the run in progress after its step: `pause` saves it, `stop` also evaluates it and writes the report. */
  end: { args: { wish: 'pause' | 'stop' }; result: null };
  runs: { args: object; result: RunSummary[] };
  remove: { args: { id: string }; result: null };
  /** The run folder as a ZIP: unpacked, `node train.js --resume` goes on with it. */
  exportRun: { args: { id: string }; result: Blob };
  checkpoint: { args: { id: string }; result: Blob };
  report: { args: { id: string }; result: Blob };
}

export type TrainingEvent =
  | { kind: 'adapter'; line: string }
  /** Of long runs, records between the first and the last are left out: as many as a chart shows. */
  | { kind: 'begun'; id: string; totalSteps: number; records: (StepRecord | ValidationRecord)[] }
  | { kind: 'progress'; title: string; done: number; total: number }
  | { kind: 'step'; record: StepRecord; totalSteps: number; stageSteps: number }
  | { kind: 'validation'; globalStep: number; stage: StageName; meanAuroc: number | null }
  /** The device was lost; what is `begun` next goes on from the last checkpoint. */
  | { kind: 'lost'; message: string }
  | { kind: 'note'; text: string };

export interface BenchMethods {
  /** Two runs a case where `quick`. Ends early once `stop` is called. */
  run: { args: { quick: boolean }; result: { stopped: boolean } };
  stop: { args: object; result: null };
}

export type BenchEvent = { kind: 'begun'; adapter: string; ceiling: Ceiling; total: number } | { kind: 'outcome'; outcome: Outcome; done: number; total: number };
