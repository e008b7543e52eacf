/**
 * What is said of arms from their runs: means over seeds, intervals over patients, and differences from the baseline, paired by scan
 * and seed.
 *
 * Every run is measured on the same resamples of the test patients, so arms are compared resample by resample. A difference from the
 * baseline also draws the seeds with replacement, for both arms the same [O]: the same seed means the same first weights and batches.
 * Few seeds make that part too narrow (its variance by a factor (K − 1)/K of K seeds in expectation); with one seed it is none at all.
 */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { drawPatients, percentileInterval, type BootstrapOptions } from '../bootstrap.ts';
import { measureColumn, prepareColumn } from '../label-measures.ts';
import { labelColumn, type ScoredSplit } from '../metrics.ts';
import { seededRandom } from '../sampler.ts';
import type { ArmLabel, Estimate, Range } from './results.ts';

/** A run's AUROCs on the test split and on each resample of its patients; NaN where a label lacks a class. */
export interface MeasuredRun {
  seed: number;
  /** One a label. */
  labels: Float64Array;
  /** Mean over the labels that can be measured. */
  mean: number;
  /** One array a label, one value a resample. */
  resampledLabels: Float64Array[];
  /** One a resample: the mean over the labels that can be measured in it. */
  resampledMeans: Float64Array;
}

/** @param patientIds one a scan; runs to be compared need the same scans in the same order, and the same options */
export function measureRun(seed: number, split: ScoredSplit, labels: number, patientIds: readonly string[], options: Required<BootstrapOptions>): MeasuredRun {
  const { patientOf, draws } = drawPatients(patientIds, options);
  const columns = Array.from({ length: labels }, (_, label) => {
    const { scores, truth, rows } = labelColumn(split, labels, label);
    return { column: prepareColumn(scores, truth, null), patients: rows.map((row) => patientOf[row]!), weights: new Uint32Array(rows.length) };
  });
  const whole = Float64Array.from(columns, ({ column }) => measureColumn(column)?.auroc ?? NaN);
  const resampledLabels = columns.map(() => new Float64Array(options.resamples).fill(NaN));
  const resampledMeans = new Float64Array(options.resamples).fill(NaN);
  let resample = 0;
  for (const drawn of draws) {
    const values = Float64Array.from(columns, ({ column, patients, weights }, label) => {
      for (let n = 0; n < patients.length; n += 1) weights[n] = drawn[patients[n]!]!;
      return (resampledLabels[label]![resample] = measureColumn(column, weights)?.auroc ?? NaN);
    });
    resampledMeans[resample] = meanOfNumbers(values);
    resample += 1;
  }
  return { seed, labels: whole, mean: meanOfNumbers(whole), resampledLabels, resampledMeans };
}

/** Mean over the values that are numbers; NaN where none is. */
function meanOfNumbers(values: ArrayLike<number>): number {
  let [sum, count] = [0, 0];
  for (let n = 0; n < values.length; n += 1) {
    if (Number.isNaN(values[n])) continue;
    sum += values[n]!;
    count += 1;
  }
  return sum / count;
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function interval(values: readonly number[], resamples: number): Range | null {
  const found = percentileInterval(values.filter((value) => !Number.isNaN(value)), resamples);
  return found && { low: found.low, high: found.high };
}

/** Mean over seeds of the mean AUROC, with an interval over patients. */
export function meanEstimate(runs: readonly MeasuredRun[]): Estimate {
  const resamples = runs[0]!.resampledMeans.length;
  const values = Array.from({ length: resamples }, (_, at) => average(runs.map(({ resampledMeans }) => resampledMeans[at]!)));
  return { value: average(runs.map(({ mean }) => mean)), interval: interval(values, resamples) };
}

export function spreadOf(runs: readonly MeasuredRun[]): { low: number; high: number; deviation: number | null } {
  const means = runs.map(({ mean }) => mean);
  const centre = average(means);
  const deviation = means.length > 1 ? Math.sqrt(means.reduce((sum, mean) => sum + (mean - centre) ** 2, 0) / (means.length - 1)) : null;
  return { low: Math.min(...means), high: Math.max(...means), deviation };
}

/** Pairs of runs of both arms with the same seed, in the order of the first. */
function pairs(arm: readonly MeasuredRun[], other: readonly MeasuredRun[]): [MeasuredRun, MeasuredRun][] {
  return arm.flatMap((run): [MeasuredRun, MeasuredRun][] => {
    const twin = other.find(({ seed }) => seed === run.seed);
    return twin ? [[run, twin]] : [];
  });
}

/**
 * `of(arm, other)` of means over the seeds that both have, with an interval over patients and seeds; null where they share none.
 *
 * @param value a run's figure on the whole split (null) or on a resample
 */
function paired(arm: readonly MeasuredRun[], other: readonly MeasuredRun[], bootstrapSeed: number, value: (run: MeasuredRun, resample: number | null) => number, of: (arm: number, other: number) => number): Estimate | null {
  const both = pairs(arm, other);
  if (!both.length) return null;
  const resamples = both[0]![0].resampledMeans.length;
  const random = seededRandom(bootstrapSeed, 'seeds');
  const measure = (chosen: readonly [MeasuredRun, MeasuredRun][], resample: number | null): number =>
    of(average(chosen.map(([run]) => value(run, resample))), average(chosen.map(([, twin]) => value(twin, resample))));
  const values = Array.from({ length: resamples }, (_, resample) => measure(both.map(() => both[uniformInt(random, 0, both.length - 1)]!), resample));
  const whole = measure(both, null);
  return Number.isNaN(whole) ? null : { value: whole, interval: interval(values, resamples) };
}

const meanOf = (run: MeasuredRun, resample: number | null): number => (resample === null ? run.mean : run.resampledMeans[resample]!);

/** (other − arm) / other of the mean AUROC. */
export function relativeLoss(arm: readonly MeasuredRun[], other: readonly MeasuredRun[], bootstrapSeed: number): Estimate | null {
  return paired(arm, other, bootstrapSeed, meanOf, (value, reference) => (reference - value) / reference);
}

/** arm − other of the mean AUROC. */
export function meanDifference(arm: readonly MeasuredRun[], other: readonly MeasuredRun[], bootstrapSeed: number): Estimate | null {
  return paired(arm, other, bootstrapSeed, meanOf, (value, reference) => value - reference);
}

/** Of each label: mean over seeds with an interval over patients, and the difference from `other` (null for the arm itself). */
export function labelEstimates(arm: readonly MeasuredRun[], other: readonly MeasuredRun[] | null, bootstrapSeed: number): ArmLabel[] {
  const resamples = arm[0]!.resampledMeans.length;
  return Array.from(arm[0]!.labels, (_, label): ArmLabel => {
    const value = average(arm.map(({ labels }) => labels[label]!));
    if (Number.isNaN(value)) return { auroc: null, difference: null };
    const values = Array.from({ length: resamples }, (_, at) => average(arm.map(({ resampledLabels }) => resampledLabels[label]![at]!)));
    const of = (run: MeasuredRun, resample: number | null): number => (resample === null ? run.labels[label]! : run.resampledLabels[label]![resample]!);
    return { auroc: { value, interval: interval(values, resamples) }, difference: other && paired(arm, other, bootstrapSeed, of, (mine, reference) => mine - reference) };
  });
}
