/** What an experiment gives: the JSON under bench/results/ that docs/RESULTS.md is made of. */
import type { HeadKind } from '../../model/index.ts';
import type { StudentInput } from '../config.ts';
import type { ArmGroup } from './arms.ts';
import type { ExperimentConfig } from './experiment-config.ts';

export const RESULTS_FORMAT = 'ct-lite-experiment';
export const RESULTS_VERSION = 1;

/** A 95 % interval. */
export interface Range {
  low: number;
  high: number;
}

export interface Estimate {
  value: number;
  /** null where it cannot be had (one patient, a label without both classes). */
  interval: Range | null;
}

export interface SeedResult {
  seed: number;
  /** Mean over the measurable labels, on the test split. */
  meanAuroc: number;
  /** On the validation split, which the settings were chosen on. */
  validationAuroc: number | null;
  /** One a label of `ExperimentResults.labels`; null where a class is missing. */
  labels: (number | null)[];
  steps: number;
  /** Median over the run's steps, all stages. */
  secondsAStep: number;
  /** GPU buffers in use at most while it trained. */
  peakGpuBytes: number;
}

export interface ArmLabel {
  /** Mean over seeds, interval over patients. */
  auroc: Estimate | null;
  /** Arm minus baseline, paired by scan and seed; interval over patients and seeds. null for the baseline itself. */
  difference: Estimate | null;
}

export interface ArmResult {
  /** 'baseline', 'jpeg', 'ct-lite', 'jpeg@10' …: unique. */
  arm: string;
  /** For people: "JPEG 75 + FAST". */
  title: string;
  group: ArmGroup;
  input: StudentInput;
  /** JPEG quality of training and evaluation; null where the input is no JPEG. */
  quality: number | null;
  /** Weights of FAST's terms; null without FAST. */
  fast: { style: number; position: number; channel: number; feature: number } | null;
  head: HeadKind;
  seeds: SeedResult[];
  /** Mean over labels and seeds, interval over patients (the seeds as they are). */
  meanAuroc: Estimate;
  /** Of the mean AUROC over seeds; `deviation` is the standard deviation, null with one seed. */
  spread: { low: number; high: number; deviation: number | null };
  /** (baseline − arm) / baseline of the mean AUROC over the seeds that both have, interval over patients and seeds. null for the baseline. */
  relativeLoss: Estimate | null;
  /** In the order of `ExperimentResults.labels`. */
  labels: ArmLabel[];
  parameters: { encoder: number; heads: number };
  /** Multiply-accumulates of one volume, by formula. */
  macs: { encoder: number; heads: number };
  /** Bytes of a volume as this arm reads it (JPEG volume, 8-bit grey, or 16-bit HU): mean over the test scans. */
  bytesPerVolume: number;
  /** Root mean squared difference of those volumes from the uncompressed ones, HU. */
  errorHu: number;
  /** Mean over seeds. */
  secondsAStep: number;
  peakGpuBytes: number;
}

export type Verdict = 'held' | 'not held' | 'not decidable';

export interface ClaimResult {
  id: 'within-5-percent' | 'better-than-jpeg' | 'heads-at-most-52-percent';
  /** The claim as a sentence. */
  claim: string;
  verdict: Verdict;
  /** The numbers that decide it, as a sentence. */
  numbers: string;
}

export interface ExperimentResults {
  format: typeof RESULTS_FORMAT;
  version: typeof RESULTS_VERSION;
  name: string;
  /** Version of the software and the command that made this. */
  software: string;
  command: string;
  startedAt: string;
  updatedAt: string;
  adapter: { line: string; kind: 'hardware' | 'software' };
  config: ExperimentConfig;
  /** Runs that are done, of those that the config asks for; one a seed and arm. */
  runs: { done: number; planned: number };
  cohort: {
    name: string;
    /** Drawn, not taken of people. */
    phantom: boolean;
    scans: { train: number; validation: number; test: number };
    patients: { train: number; validation: number; test: number };
  };
  /** Bytes of a volume at the model's grid in 16-bit HU, uncompressed. */
  rawBytesPerVolume: number;
  labels: { label: string; positives: number; negatives: number }[];
  /** In the order of the config; those with a run that is done. */
  arms: ArmResult[];
  claims: ClaimResult[];
}
