/** What `ct-lite eval` is asked, and a model's scores of one cohort, wherever they come from. */
import type { EvaluationResult } from '../train/index.ts';

export interface EvalFlags {
  checkpoint?: string;
  ctClip?: string;
  tokenizer?: string;
  data?: string;
  reports?: string;
  labels?: string;
  columns?: string;
  labelMap?: string;
  split: 'test' | 'all';
  model: 'student' | 'teacher';
  quality?: number;
  prompts?: string;
  writePrompts?: string;
  scores?: string;
  compare?: string;
  compareModel?: 'student' | 'teacher';
  retrieval: boolean;
  resamples: number;
  adapter?: string;
  seed: number;
  out?: string;
  json?: boolean;
}

/** A model's scores of one cohort, ready for the protocol. */
export interface ScoredModel {
  name: string;
  labels: string[];
  validation: ScoredPart;
  test: ScoredPart;
  /** How sentences call the evaluated scans. */
  splitName: string;
  /** Of the second model, on the test scans; null where none is compared. */
  other: { name: string; scores: Float64Array } | null;
  /** Recall at k, where the model and the reports are there. */
  retrieval: EvaluationResult['retrieval'];
  facts: [string, string][];
  notes: string[];
}

export interface ScoredPart {
  ids: string[];
  patientIds: string[];
  /** [scans, labels] */
  scores: Float64Array;
  truths: Uint8Array;
}
