/** Two models on the same scans: paired tests of each label's AUROC and of their mean. */
import { drawPatients, percentileInterval, type BootstrapOptions, type Interval, BOOTSTRAP_RESAMPLES } from './bootstrap.ts';
import { deLongMeanTest, deLongTest, holmAdjust, type DeLongTest, type PairedColumn } from './delong.ts';
import { measureColumn, prepareColumn } from './label-measures.ts';
import { labelColumn, requireSplit, type ScoredSplit } from './metrics.ts';

export interface LabelComparison {
  label: string;
  /** null with fewer than two scans of a class. */
  test: DeLongTest | null;
  /** Holm's adjustment over the labels that were tested. */
  adjustedP: number | null;
  /** 95 % interval of the difference by the paired bootstrap over patients. */
  bootstrap: Interval | null;
}

export interface Comparison {
  /** What the two models are called; differences are a − b. */
  a: string;
  b: string;
  labels: LabelComparison[];
  /** Over the labels with at least two scans of each class. */
  mean: { labels: number; test: DeLongTest | null; bootstrap: Interval | null };
  resamples: number;
  patients: number;
}

/**
 * @param a,b the two models' scores of the same scans [scans, labels]; the truths are a's
 * @param patientIds one a scan; a resample draws the same patients for both models
 * @throws Error where shapes don't fit, or where the truths differ
 */
export function compareModels(names: { a: string; b: string }, labels: readonly string[], a: ScoredSplit, b: ScoredSplit, patientIds: readonly string[], options: BootstrapOptions): Comparison {
  requireSplit(`compareModels: ${names.a}`, a, labels.length);
  requireSplit(`compareModels: ${names.b}`, b, labels.length);
  if (a.truths.length !== b.truths.length || a.truths.some((truth, at) => truth !== b.truths[at])) {
    throw new Error(`compareModels: both models must be scored on the same scans and truths, ${names.a} has ${a.truths.length / labels.length} scans, ${names.b} ${b.truths.length / labels.length}`);
  }
  const columns: PairedColumn[] = labels.map((_, at) => {
    const { scores, truth, rows } = labelColumn(a, labels.length, at);
    return { scoresA: scores, scoresB: labelColumn(b, labels.length, at).scores, truth, rows };
  });
  const tests = columns.map(({ scoresA, scoresB, truth }) => deLongTest(scoresA, scoresB, truth));
  const adjusted = holmAdjust(tests.map((test) => test?.p ?? null));
  const { intervals, mean, patients, resamples } = bootstrapDifferences(columns, tests.map(Boolean), patientIds, options);
  return {
    ...names,
    labels: labels.map((label, at) => ({ label, test: tests[at]!, adjustedP: adjusted[at]!, bootstrap: intervals[at]! })),
    mean: { labels: tests.filter(Boolean).length, test: deLongMeanTest(columns, patientIds.length), bootstrap: mean },
    resamples,
    patients,
  };
}

/** @param inMean which labels the mean is over: those that DeLong's test measures, so that both speak of the same mean */
function bootstrapDifferences(columns: readonly PairedColumn[], inMean: readonly boolean[], patientIds: readonly string[], options: BootstrapOptions): { intervals: (Interval | null)[]; mean: Interval | null; patients: number; resamples: number } {
  const { resamples = BOOTSTRAP_RESAMPLES } = options;
  const { patients, patientOf, draws } = drawPatients(patientIds, options);
  const prepared = columns.map(({ scoresA, scoresB, truth, rows }) => ({
    a: prepareColumn(scoresA, truth, null), b: prepareColumn(scoresB, truth, null), patients: rows.map((row) => patientOf[row]!), weights: new Uint32Array(rows.length),
  }));
  const differences: number[][] = columns.map(() => []);
  const means: number[] = [];
  for (const drawn of draws) {
    let [sum, measured] = [0, 0];
    prepared.forEach(({ a, b, patients: numbers, weights }, label) => {
      for (let n = 0; n < numbers.length; n += 1) weights[n] = drawn[numbers[n]!]!;
      const [first, second] = [measureColumn(a, weights), measureColumn(b, weights)];
      if (!first || !second) return;
      const difference = first.auroc! - second.auroc!;
      differences[label]!.push(difference);
      if (!inMean[label]) return;
      sum += difference;
      measured += 1;
    });
    if (measured > 0) means.push(sum / measured);
  }
  return { intervals: differences.map((values) => percentileInterval(values, resamples)), mean: percentileInterval(means, resamples), patients, resamples };
}
