/** What the experiment on patches of real scans finds (patch-fast.ts): the JSON that reports and plots are made of. */

export const PATCH_FAST_FORMAT = 'ct-lite-patch-fast';
export const PATCH_FAST_VERSION = 1;

/** What a patch went through before the model under test saw it: JPEG of a quality, or 8-bit grey levels without JPEG. */
export type PatchInput = number | '8-bit';

/**
 * What is measured against the teacher on the raw patch.
 *
 * - `compression`: the teacher itself on the compressed patch, which is also the student before its first step: what compression costs
 *   where nothing is done about it. This is "without FAST" [O].
 * - `fast`: a student that started from the teacher's weights, trained by FAST alone.
 * - `untrained`: a student of random weights with its random projectors: the floor [O].
 * - `fast-fresh`: the same student, trained by FAST as long: what FAST teaches one that cannot take over the teacher's weights.
 */
export const PATCH_ARMS = ['compression', 'fast', 'untrained', 'fast-fresh'] as const;
export type PatchArm = (typeof PATCH_ARMS)[number];

/**
 * Each of one patch; those of tokens are means over the two taps (end of the spatial and of the temporal stack).
 *
 * - `featureCosine`: mean over tokens of cos(F̂_S, F̂_T), F̂ the affine-free LayerNorm over channels of φ(f_S) and of f_T. Higher is better.
 * - `centredCosine`: the same after the mean token of the teacher, over the raw training patches, is taken from both: what all tokens
 *   share says nothing of the patch. Higher is better.
 * - `gram`: L_sty of MODEL §4.3, ‖G_S − G_T‖²_F / ‖G_T‖²_F, each model its own attention map.
 * - `position`, `channel`: L_pos and L_ch of MODEL §4.1 and 4.2, squared distance of the unit attention maps, in [0, 2].
 * - `alignment`: L_feat of MODEL §4.4.
 * - `pooledCosine`: cosine of the encoder's pooled output, each less the teacher's mean over the raw training patches; null for a student
 *   of its own weights, whose pooling FAST never trains.
 */
export const PATCH_MEASURES = ['featureCosine', 'centredCosine', 'gram', 'position', 'channel', 'alignment', 'pooledCosine'] as const;
export type PatchMeasure = (typeof PATCH_MEASURES)[number];

/** Of which a larger value is better; of the others a smaller one. */
export const HIGHER_IS_BETTER: readonly PatchMeasure[] = ['featureCosine', 'centredCosine', 'pooledCosine'];

export interface PatchInterval {
  low: number;
  high: number;
}

/** Of one measure over all patches of all left-out scans. */
export interface PatchStatistic {
  mean: number;
  /** Standard deviation over patches. */
  deviation: number;
  /** Mean of each fold, in the folds' order; null where it has none. */
  folds: (number | null)[];
  /** 95 % percentile bootstrap of the mean over what `PatchFastResult.resampled` says; null where there are too few. */
  interval: PatchInterval | null;
}

export type PatchStatistics = Record<PatchMeasure, PatchStatistic | null>;

export interface PatchCell {
  input: PatchInput;
  patches: number;
  measures: PatchStatistics;
}

/** An arm less `compression`, patch by patch. */
export interface PatchDifference {
  arm: Exclude<PatchArm, 'compression'>;
  cells: PatchCell[];
}

export interface PatchFastSettings {
  preset: string;
  seed: number;
  /** Size of a patch in voxels, and their spacing in mm, [D, Y, X]. */
  shape: [number, number, number];
  spacingMm: [number, number, number];
  patchesPerScan: number;
  steps: number;
  batch: number;
  learningRate: number;
  /** Qualities that training draws from, both ends included. */
  trainQuality: [number, number];
  /** λ of FAST's terms. */
  weights: Record<'style' | 'position' | 'channel' | 'feature', number>;
  style: 'attention' | 'gatys';
  styleTau: number;
  maskTau: number;
  /** Groups of patients, each left out once. */
  folds: number;
  inputs: PatchInput[];
  arms: PatchArm[];
}

export interface PatchFold {
  /** Scans that were measured and not trained on. */
  heldOut: string[];
  trained: string[];
  patches: { trained: number; heldOut: number };
  /** FAST (all four terms) of each trained arm: mean over its first and its last tenth of steps. */
  loss: Partial<Record<PatchArm, { first: number; last: number }>>;
  seconds: number;
}

export interface PatchFastResult {
  format: typeof PATCH_FAST_FORMAT;
  version: typeof PATCH_FAST_VERSION;
  settings: PatchFastSettings;
  teacher: {
    /** For people: the file's name and what it was trained on. */
    name: string;
    /** SHA-256 of its weights. */
    weights: string;
    parameters: number;
  };
  scans: { id: string; patientId: string; patches: number; spacingMm: [number, number, number]; warnings: string[] }[];
  /** Scans of the folder that were not used. */
  skipped: { id: string; reason: string }[];
  folds: PatchFold[];
  /** What compression does to the patches themselves: root mean squared error in HU, mean over patches. */
  errorHu: { input: PatchInput; mean: number }[];
  /** One an arm, a cell an input. */
  arms: { arm: PatchArm; cells: PatchCell[] }[];
  differences: PatchDifference[];
  /** What the bootstrap draws: patients, or, where they are too few for that, patches within their scan; then it speaks of these scans alone. */
  resampled: 'patients' | 'patches';
  adapter: string;
  seconds: number;
}

/** How a plot or a table calls an input. */
export function patchInputName(input: PatchInput): string {
  return input === '8-bit' ? '8-bit, no JPEG' : `JPEG ${input}`;
}
