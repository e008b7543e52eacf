/**
 * 95 % intervals of every figure by a patient-level bootstrap (MODEL §1.6): patients, not scans, are drawn with replacement, since
 * the scans of one patient are not independent. Thresholds stay those of the validation split: their own uncertainty is not in the
 * intervals.
 */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { MEASURES, measureColumn, prepareColumn, type Measure } from './label-measures.ts';
import { labelColumn, requireSplit, type ScoredSplit } from './metrics.ts';
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

export interface MeasureIntervals {
  /** Of the mean over the labels that a resample can measure; null where none ever could, or with fewer than two patients. */
  mean: Interval | null;
  /** One a label, in their order; null where no resample could measure it, or with fewer than two patients. */
  labels: (Interval | null)[];
}

export interface MetricIntervals {
  measures: Record<Measure, MeasureIntervals>;
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

/** Percentiles 2.5 and 97.5 of what the resamples gave; null where none gave anything. */
export function percentileInterval(values: readonly number[], resamples: number): Interval | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const tail = (1 - INTERVAL) / 2;
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail), used: values.length, skipped: resamples - values.length };
}

export interface BootstrapOptions {
  seed: number;
  resamples?: number;
}

export interface PatientDraws {
  patients: number;
  /** Number of the patient of each scan. */
  patientOf: Uint32Array;
  /** How often each patient was drawn, one array a resample; the array is used again. None with fewer than two patients. */
  draws: Generator<Uint32Array, void, undefined>;
}

/** As many patients as there are, drawn with replacement; the same seed draws the same patients everywhere. */
export function drawPatients(patientIds: readonly string[], { seed, resamples = BOOTSTRAP_RESAMPLES }: BootstrapOptions): PatientDraws {
  const names = [...new Set(patientIds)];
  const numberOf = new Map(names.map((name, number) => [name, number]));
  function* draws(): Generator<Uint32Array, void, undefined> {
    if (names.length < 2) return;
    const random = seededRandom(seed, 'bootstrap');
    const drawn = new Uint32Array(names.length);
    for (let resample = 0; resample < resamples; resample += 1) {
      drawn.fill(0);
      for (let n = 0; n < names.length; n += 1) drawn[uniformInt(random, 0, names.length - 1)]! += 1;
      yield drawn;
    }
  }
  return { patients: names.length, patientOf: Uint32Array.from(patientIds, (id) => numberOf.get(id)!), draws: draws() };
}

/**
 * Percentile intervals of every figure of each label and of their means.
 *
 * A resample in which a label lacks a class skips that label, counts it, and leaves it out of that resample's mean. The same seed
 * gives the same intervals everywhere.
 *
 * @param split scores and truths [scans, labels] of the evaluated split
 * @param patientIds one a scan
 * @param thresholds one a label, fitted on validation; null where there is none: its F1, accuracy and precision have no interval
 * @throws Error where the shapes or the number of patients ids don't fit
 */
export function bootstrapMetrics(labels: number, split: ScoredSplit, patientIds: readonly string[], thresholds: readonly (number | null)[], options: BootstrapOptions): MetricIntervals {
  requireSplit('bootstrapMetrics', split, labels);
  if (patientIds.length * labels !== split.truths.length) {
    throw new Error(`bootstrapMetrics: one patient id a scan, got ${patientIds.length} for ${split.truths.length / labels} scans`);
  }
  const { seed, resamples = BOOTSTRAP_RESAMPLES } = options;
  const { patients, patientOf, draws } = drawPatients(patientIds, options);
  const columns = Array.from({ length: labels }, (_, label) => {
    const { scores, truth, rows } = labelColumn(split, labels, label);
    return { column: prepareColumn(scores, truth, thresholds[label] ?? null), patients: rows.map((row) => patientOf[row]!), weights: new Uint32Array(rows.length) };
  });
  const found = Object.fromEntries(MEASURES.map((measure) => [measure, { means: [], labels: columns.map(() => []) }])) as unknown as Record<Measure, { means: number[]; labels: number[][] }>;
  for (const drawn of draws) {
    const measured = columns.map(({ column, patients: numbers, weights }) => {
      for (let n = 0; n < numbers.length; n += 1) weights[n] = drawn[numbers[n]!]!;
      return measureColumn(column, weights);
    });
    for (const measure of MEASURES) {
      const values = measured.map((each) => each?.[measure] ?? null);
      values.forEach((value, label) => value !== null && found[measure].labels[label]!.push(value));
      const known = values.filter((value) => value !== null);
      if (known.length > 0) found[measure].means.push(known.reduce((sum, value) => sum + value, 0) / known.length);
    }
  }
  const intervals = (measure: Measure): MeasureIntervals => ({ mean: percentileInterval(found[measure].means, resamples), labels: found[measure].labels.map((values) => percentileInterval(values, resamples)) });
  return { measures: Object.fromEntries(MEASURES.map((measure) => [measure, intervals(measure)])) as Record<Measure, MeasureIntervals>, resamples, patients, seed };
}
