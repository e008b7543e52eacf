/**
 * 95 % intervals of the AUROC by a patient-level bootstrap (MODEL §1.6): patients, not scans, are drawn with replacement, since
 * the scans of one patient are not independent.
 */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { ascendingOrder, labelColumn, requireSplit, type ScoredSplit, weightedAuroc } from './metrics.ts';
import { seededRandom } from './sampler.ts';

export const BOOTSTRAP_RESAMPLES = 1000;
const INTERVAL = 0.95;

export interface Interval {
  low: number;
  high: number;
  /** Resamples that were used. */
  used: number;
  /** Resamples that were skipped: a class was missing in them. */
  skipped: number;
}

export interface AurocIntervals {
  /** Of the mean over the labels that a resample can measure; null where none ever could, or with fewer than two patients. */
  mean: Interval | null;
  /** One a label, in their order; null where no resample could measure it, or with fewer than two patients. */
  labels: (Interval | null)[];
  resamples: number;
  patients: number;
  seed: number;
}

/** The quantile q of sorted values, interpolated linearly between the two nearest (numpy's default). */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) throw new Error('quantile: at least one value is needed, got none');
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

function percentileInterval(values: number[], resamples: number): Interval | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const tail = (1 - INTERVAL) / 2;
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail), used: values.length, skipped: resamples - values.length };
}

export interface BootstrapOptions {
  seed: number;
  resamples?: number;
}

/**
 * Percentile intervals of the AUROC of each label and of their mean.
 *
 * A resample in which a label lacks a class skips that label, counts it, and leaves it out of that resample's mean. The same seed
 * gives the same intervals everywhere.
 *
 * @param split scores and truths [scans, labels] of the evaluated split
 * @param patientIds one a scan
 * @throws Error where the shapes or the number of patients ids don't fit
 */
export function bootstrapAuroc(labels: number, split: ScoredSplit, patientIds: readonly string[], { seed, resamples = BOOTSTRAP_RESAMPLES }: BootstrapOptions): AurocIntervals {
  requireSplit('bootstrapAuroc', split, labels);
  if (patientIds.length * labels !== split.truths.length) {
    throw new Error(`bootstrapAuroc: one patient id a scan, got ${patientIds.length} for ${split.truths.length / labels} scans`);
  }
  const names = [...new Set(patientIds)];
  const numberOf = new Map(names.map((name, number) => [name, number]));
  const patientOf = patientIds.map((id) => numberOf.get(id)!);
  if (names.length < 2) return { mean: null, labels: Array<null>(labels).fill(null), resamples, patients: names.length, seed };

  const columns = Array.from({ length: labels }, (_, label) => {
    const { scores, truth, rows } = labelColumn(split, labels, label);
    return { scores, truth, order: ascendingOrder(scores), patients: Uint32Array.from(rows, (row) => patientOf[row]!) };
  });
  const perLabel: number[][] = columns.map(() => []);
  const means: number[] = [];
  const random = seededRandom(seed, 'bootstrap');
  const drawn = new Uint32Array(names.length);
  for (let resample = 0; resample < resamples; resample += 1) {
    drawn.fill(0);
    for (let n = 0; n < names.length; n += 1) drawn[uniformInt(random, 0, names.length - 1)]! += 1;
    let [sum, measured] = [0, 0];
    columns.forEach(({ scores, truth, order, patients }, label) => {
      const value = weightedAuroc(scores, truth, order, patients.map((patient) => drawn[patient]!));
      if (value === null) return;
      perLabel[label]!.push(value);
      sum += value;
      measured += 1;
    });
    if (measured > 0) means.push(sum / measured);
  }
  return {
    mean: percentileInterval(means, resamples),
    labels: perLabel.map((values) => percentileInterval(values, resamples)),
    resamples,
    patients: names.length,
    seed,
  };
}
