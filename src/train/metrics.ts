/**
 * Zero-shot metrics (MODEL §1.6): AUROC, ROC curve, average precision, weighted F1, accuracy, precision, Brier score and calibration
 * of each label, and their means. Definitions agree with scikit-learn's roc_auc_score, roc_curve (drop_intermediate=False) and those
 * that label-measures.ts names.
 */
import { UNLABELLED } from '../data/index.ts';
import { reliabilityCurve, type CalibrationBin } from './calibration.ts';
import { ascendingOrder, measureColumn, prepareColumn, type Measures } from './label-measures.ts';

export interface RocCurve {
  /** Scores at or above the threshold count as positive. The first is +∞ (nothing is positive), then each distinct score, falling. */
  thresholds: Float64Array;
  falsePositiveRate: Float64Array;
  truePositiveRate: Float64Array;
}

export interface Classification {
  weightedF1: number;
  accuracy: number;
  precision: number;
}

/** Scores and truths of one split, row-major [scans, labels]. */
export interface ScoredSplit {
  scores: Float32Array | Float64Array;
  /** 1 present, 0 absent, UNLABELLED unknown. */
  truths: Uint8Array;
}

export interface LabelMetrics {
  label: string;
  positives: number;
  negatives: number;
  /** null where a class is missing; `reason` then says which. */
  auroc: number | null;
  reason: string | null;
  roc: RocCurve | null;
  /** null where a class is missing. */
  averagePrecision: number | null;
  /** Brier score, expected calibration error and reliability curve; null where a class is missing or a score is no probability. */
  brier: number | null;
  ece: number | null;
  reliability: CalibrationBin[] | null;
  /** The score at the validation ROC point nearest to (0,1); null where validation lacks a class, `thresholdReason` then says which. */
  threshold: number | null;
  thresholdReason: string | null;
  classification: Classification | null;
}

export interface MeanMetrics {
  /** Mean over the labels that can be measured; null where there is none. */
  auroc: number | null;
  aurocLabels: number;
  averagePrecision: number | null;
  /** Over the measurable labels whose scores are probabilities. */
  brier: number | null;
  ece: number | null;
  classification: Classification | null;
  classificationLabels: number;
}

export interface EvaluationMetrics {
  labels: LabelMetrics[];
  mean: MeanMetrics;
}

function requireScores(op: string, scores: ArrayLike<number>, truth: ArrayLike<number>): void {
  if (scores.length !== truth.length) throw new Error(`${op}: one truth a score, got ${scores.length} scores and ${truth.length} truths`);
  for (let n = 0; n < scores.length; n += 1) {
    if (Number.isNaN(scores[n])) throw new Error(`${op}: scores must be numbers, got NaN at ${n}; the model's output is broken`);
    if (truth[n] !== 0 && truth[n] !== 1) throw new Error(`${op}: truths must be 0 or 1, got ${truth[n]} at ${n}`);
  }
}

/**
 * Area under the ROC curve as the Mann–Whitney statistic: the share of (positive, negative) pairs that are ordered right, ties
 * counting one half.
 *
 * @returns null where a class is missing
 */
export function auroc(scores: ArrayLike<number>, truth: ArrayLike<number>): number | null {
  requireScores('auroc', scores, truth);
  return measureColumn(prepareColumn(Float64Array.from(scores), Uint8Array.from(truth), null))?.auroc ?? null;
}

/** Every point of the ROC curve, from (0,0) to (1,1); null where a class is missing. */
export function rocCurve(scores: ArrayLike<number>, truth: ArrayLike<number>): RocCurve | null {
  requireScores('rocCurve', scores, truth);
  const order = ascendingOrder(scores).reverse();
  const positives = order.reduce((sum, n) => sum + truth[n]!, 0);
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return null;
  const points: [number, number, number][] = [[Infinity, 0, 0]];
  let [falsePositives, truePositives] = [0, 0];
  order.forEach((n, at) => {
    if (truth[n] === 1) truePositives += 1;
    else falsePositives += 1;
    // Tied scores pass the threshold together.
    if (scores[order[at + 1]!] !== scores[n]) points.push([scores[n]!, falsePositives / negatives, truePositives / positives]);
  });
  const column = (at: 0 | 1 | 2) => Float64Array.from(points, (point) => point[at]);
  return { thresholds: column(0), falsePositiveRate: column(1), truePositiveRate: column(2) };
}

/** The threshold whose ROC point is nearest to (0,1); of equally near ones the highest. */
export function nearestCornerThreshold({ thresholds, falsePositiveRate, truePositiveRate }: RocCurve): number {
  let [best, nearest] = [0, Infinity];
  for (let n = 0; n < thresholds.length; n += 1) {
    const distance = falsePositiveRate[n]! ** 2 + (1 - truePositiveRate[n]!) ** 2;
    if (distance < nearest) [best, nearest] = [n, distance];
  }
  return thresholds[best]!;
}

/** One label's column of a split, without the scans that nobody labelled. `rows` are their scans. */
export function labelColumn({ scores, truths }: ScoredSplit, labels: number, label: number): { scores: Float64Array; truth: Uint8Array; rows: Uint32Array } {
  const rows: number[] = [];
  for (let row = 0; row * labels < truths.length; row += 1) if (truths[row * labels + label] !== UNLABELLED) rows.push(row);
  return {
    scores: Float64Array.from(rows, (row) => scores[row * labels + label]!),
    truth: Uint8Array.from(rows, (row) => truths[row * labels + label]!),
    rows: Uint32Array.from(rows),
  };
}

export function requireSplit(op: string, { scores, truths }: ScoredSplit, labels: number): void {
  if (scores.length !== truths.length || (labels > 0 && scores.length % labels !== 0)) {
    throw new Error(`${op}: scores and truths must be [scans, ${labels}], got ${scores.length} scores and ${truths.length} truths`);
  }
}

function missingClass(split: string, truth: Uint8Array): string | null {
  const positives = truth.reduce((sum, value) => sum + value, 0);
  if (truth.length === 0) return `no labelled scan in ${split}`;
  if (positives === 0) return `no positive among the ${truth.length} scans of ${split}`;
  return positives === truth.length ? `no negative among the ${truth.length} scans of ${split}` : null;
}

/** AUROC of one label on one split with its counts; the part of the metrics that needs no threshold. */
function measureLabel(label: string, validation: { scores: Float64Array; truth: Uint8Array }, test: { scores: Float64Array; truth: Uint8Array }, testName: string): LabelMetrics {
  const positives = test.truth.reduce((sum, value) => sum + value, 0);
  const roc = rocCurve(test.scores, test.truth);
  const fitted = rocCurve(validation.scores, validation.truth);
  const threshold = fitted && nearestCornerThreshold(fitted);
  const measures = measureColumn(prepareColumn(test.scores, test.truth, threshold));
  return {
    label,
    positives,
    negatives: test.truth.length - positives,
    auroc: measures?.auroc ?? null,
    reason: missingClass(testName, test.truth),
    roc,
    averagePrecision: measures?.averagePrecision ?? null,
    brier: measures?.brier ?? null,
    ece: measures?.ece ?? null,
    reliability: roc && reliabilityCurve(test.scores, test.truth),
    threshold,
    thresholdReason: missingClass('the validation split', validation.truth),
    classification: measures && classification(measures),
  };
}

function classification({ weightedF1, accuracy, precision }: Measures): Classification | null {
  return weightedF1 === null || accuracy === null || precision === null ? null : { weightedF1, accuracy, precision };
}

function average(values: number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function meanClassification(all: Classification[]): Classification | null {
  const [weightedF1, accuracy, precision] = (['weightedF1', 'accuracy', 'precision'] as const).map((key) => average(all.map((each) => each[key])));
  return weightedF1 == null || accuracy == null || precision == null ? null : { weightedF1, accuracy, precision };
}

/**
 * Metrics of each label on `test`, with thresholds fitted on `validation` (never on the evaluated split). A label without both
 * classes in `test` has null metrics and a reason, and takes no part in the means; one without both classes in `validation` has an
 * AUROC but no threshold.
 *
 * @param testName how the reasons call the evaluated split
 * @throws Error on shapes that don't fit, NaN scores, or truths other than 0, 1, UNLABELLED
 */
export function evaluateLabels(labels: readonly string[], validation: ScoredSplit, test: ScoredSplit, testName = 'the test split'): EvaluationMetrics {
  requireSplit('evaluateLabels: validation', validation, labels.length);
  requireSplit(`evaluateLabels: ${testName}`, test, labels.length);
  const measured = labels.map((label, at) =>
    measureLabel(label, labelColumn(validation, labels.length, at), labelColumn(test, labels.length, at), testName),
  );
  const known = (key: 'auroc' | 'averagePrecision' | 'brier' | 'ece'): number[] => measured.flatMap((each) => each[key] ?? []);
  const aurocs = known('auroc');
  const classifications = measured.flatMap((each) => (each.classification === null ? [] : [each.classification]));
  return {
    labels: measured,
    mean: {
      auroc: average(aurocs),
      aurocLabels: aurocs.length,
      averagePrecision: average(known('averagePrecision')),
      brier: average(known('brier')),
      ece: average(known('ece')),
      classification: meanClassification(classifications),
      classificationLabels: classifications.length,
    },
  };
}
