/**
 * Every figure of one label in one pass over its scores, with a weight a scan: what the point estimates and each bootstrap resample
 * are made of, so that both follow the same definition.
 *
 * AUROC, average precision, weighted F1, accuracy, precision and Brier score are scikit-learn's (roc_auc_score,
 * average_precision_score, f1_score(average="weighted"), accuracy_score, precision_score(zero_division=0), brier_score_loss);
 * the expected calibration error is Guo et al. 2017's over calibration_curve's ten uniform bins.
 */
import { CALIBRATION_BINS, calibrationBin, isProbability } from './calibration.ts';

export const MEASURES = ['auroc', 'averagePrecision', 'weightedF1', 'accuracy', 'precision', 'brier', 'ece'] as const;
export type Measure = (typeof MEASURES)[number];

/** null: not measurable (no threshold, or scores that are no probabilities). */
export type Measures = Record<Measure, number | null>;

/** One label's labelled scans, made ready once and measured often. */
export interface PreparedColumn {
  scores: Float64Array;
  truth: Uint8Array;
  /** Indices of scores, rising. */
  order: Uint32Array;
  /** Calibration bin of each score; null where the scores are no probabilities. */
  bins: Uint8Array | null;
  /** Fitted elsewhere, never on these scans; null where it could not be. */
  threshold: number | null;
}

/** Indices of scores, rising. */
export function ascendingOrder(scores: ArrayLike<number>): Uint32Array {
  return Uint32Array.from({ length: scores.length }, (_, n) => n).sort((a, b) => scores[a]! - scores[b]! || a - b);
}

export function prepareColumn(scores: Float64Array, truth: Uint8Array, threshold: number | null): PreparedColumn {
  const bins = scores.every(isProbability) ? Uint8Array.from(scores, calibrationBin) : null;
  return { scores, truth, order: ascendingOrder(scores), bins, threshold };
}

/**
 * Scan n counts `weights[n]` times; once where weights are missing. Linear in the number of scans.
 *
 * @returns null where the weighted scans lack a class
 */
export function measureColumn(column: PreparedColumn, weights?: ArrayLike<number>): Measures | null {
  const { truth } = column;
  let [positives, negatives] = [0, 0];
  for (let n = 0; n < truth.length; n += 1) {
    const weight = weights ? weights[n]! : 1;
    if (truth[n] === 1) positives += weight;
    else negatives += weight;
  }
  if (positives === 0 || negatives === 0) return null;
  return { ...ranked(column, positives, negatives, weights), ...thresholded(column, positives, negatives, weights), ...probable(column, positives + negatives, weights) };
}

/** Ties pass together: a tied pair counts one half in the AUROC, and tied scores are one point of the precision–recall curve. */
function ranked({ scores, truth, order }: PreparedColumn, positives: number, negatives: number, weights?: ArrayLike<number>): Pick<Measures, 'auroc' | 'averagePrecision'> {
  let [positivesBelow, negativesBelow, rightPairs, averagePrecision] = [0, 0, 0, 0];
  for (let at = 0; at < order.length; ) {
    const score = scores[order[at]!]!;
    let [tiedPositives, tiedNegatives] = [0, 0];
    for (; at < order.length && scores[order[at]!] === score; at += 1) {
      const n = order[at]!;
      const weight = weights ? weights[n]! : 1;
      if (truth[n] === 1) tiedPositives += weight;
      else tiedNegatives += weight;
    }
    rightPairs += tiedPositives * (negativesBelow + tiedNegatives / 2);
    if (tiedPositives > 0) {
      const [above, falseAbove] = [positives - positivesBelow, negatives - negativesBelow];
      averagePrecision += (tiedPositives / positives) * (above / (above + falseAbove));
    }
    positivesBelow += tiedPositives;
    negativesBelow += tiedNegatives;
  }
  return { auroc: rightPairs / (positives * negatives), averagePrecision };
}

function thresholded({ scores, truth, threshold }: PreparedColumn, positives: number, negatives: number, weights?: ArrayLike<number>): Pick<Measures, 'weightedF1' | 'accuracy' | 'precision'> {
  if (threshold === null) return { weightedF1: null, accuracy: null, precision: null };
  let [truePositives, falsePositives] = [0, 0];
  for (let n = 0; n < truth.length; n += 1) {
    if (scores[n]! < threshold) continue;
    const weight = weights ? weights[n]! : 1;
    if (truth[n] === 1) truePositives += weight;
    else falsePositives += weight;
  }
  const errors = falsePositives + positives - truePositives;
  const trueNegatives = negatives - falsePositives;
  const ratio = (above: number, below: number): number => (below === 0 ? 0 : above / below);
  const [f1Positive, f1Negative] = [truePositives, trueNegatives].map((right) => ratio(2 * right, 2 * right + errors)) as [number, number];
  return {
    weightedF1: (positives * f1Positive + negatives * f1Negative) / (positives + negatives),
    accuracy: (truePositives + trueNegatives) / (positives + negatives),
    precision: ratio(truePositives, truePositives + falsePositives),
  };
}

function probable({ scores, truth, bins }: PreparedColumn, total: number, weights?: ArrayLike<number>): Pick<Measures, 'brier' | 'ece'> {
  if (!bins) return { brier: null, ece: null };
  // Of each bin: the sum of score − truth.
  const excess = new Float64Array(CALIBRATION_BINS);
  let squares = 0;
  for (let n = 0; n < truth.length; n += 1) {
    const weight = weights ? weights[n]! : 1;
    const difference = scores[n]! - truth[n]!;
    squares += weight * difference * difference;
    excess[bins[n]!]! += weight * difference;
  }
  return { brier: squares / total, ece: excess.reduce((sum, each) => sum + Math.abs(each), 0) / total };
}
