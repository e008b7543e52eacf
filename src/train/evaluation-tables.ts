/** The result of one evaluation, as JSON and as CSV. */
import type { Interval, MetricIntervals } from './bootstrap.ts';
import type { Comparison } from './compare.ts';
import { MEASURES, type Measure } from './label-measures.ts';
import type { EvaluationMetrics, LabelMetrics, MeanMetrics } from './metrics.ts';
import type { RetrievalResult } from './retrieval.ts';

export interface EvaluationResult {
  /** What was evaluated: a checkpoint or a scores file. */
  name: string;
  /** What it was evaluated on, as sentences call it: "the test split". */
  split: string;
  /** Version of this software and time, ISO 8601. */
  version: string;
  madeAt: string;
  scans: { validation: number; test: number };
  patients: { validation: number; test: number };
  metrics: EvaluationMetrics;
  intervals: MetricIntervals;
  retrieval: RetrievalResult | null;
  comparison: Comparison | null;
  /** Names and values for the report: checkpoint, adapter, prompts. */
  facts: [string, string][];
  /** What the reader must know, each a sentence. */
  notes: string[];
}

/** A figure of a label or of the mean. */
export function measureOf({ auroc, averagePrecision, brier, ece, classification }: LabelMetrics | MeanMetrics, measure: Measure): number | null {
  return { auroc, averagePrecision, brier, ece, weightedF1: null, accuracy: null, precision: null, ...classification }[measure];
}

/** All figures with their intervals, the ROC and reliability curves, retrieval and comparison. */
export function evaluationJson({ metrics, intervals, ...rest }: EvaluationResult): string {
  const withIntervals = (figures: LabelMetrics | MeanMetrics, intervalOf: (measure: Measure) => Interval | null | undefined): Record<string, unknown> =>
    Object.fromEntries(MEASURES.map((measure) => [measure, { value: measureOf(figures, measure), interval95: intervalOf(measure) ?? null }]));
  const { resamples, patients, seed, measures } = intervals;
  const json = {
    format: 'ct-lite-evaluation', formatVersion: 1, ...rest,
    bootstrap: { unit: 'patient', resamples, patients, seed },
    mean: { labels: metrics.mean.aurocLabels, labelsWithThreshold: metrics.mean.classificationLabels, ...withIntervals(metrics.mean, (measure) => measures[measure].mean) },
    labels: metrics.labels.map((label, at) => ({
      label: label.label, positives: label.positives, negatives: label.negatives, notMeasurable: label.reason, threshold: label.threshold === Infinity ? 'Infinity' : label.threshold, noThreshold: label.thresholdReason,
      ...withIntervals(label, (measure) => measures[measure].labels[at]),
      roc: label.roc && { falsePositiveRate: [...label.roc.falsePositiveRate], truePositiveRate: [...label.roc.truePositiveRate], thresholds: [...label.roc.thresholds].map((value) => (Number.isFinite(value) ? value : null)) },
      reliability: label.reliability,
    })),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** A row a label and one for the mean; empty cells are what cannot be measured. Rows for `formatCsv`. */
export function evaluationCsv({ metrics, intervals, comparison }: EvaluationResult): string[][] {
  const cell = (value: number | null | undefined): string => (value === null || value === undefined ? '' : String(value));
  const bounds = (interval: Interval | null | undefined): string[] => [cell(interval?.low), cell(interval?.high)];
  const compared = (label: Comparison['labels'][number] | Comparison['mean'] | undefined): string[] =>
    label ? [cell(label.test?.b), cell(label.test?.difference), cell(label.test?.low), cell(label.test?.high), cell(label.test?.p), 'adjustedP' in label ? cell(label.adjustedP) : '', ...bounds(label.bootstrap)] : [];
  const { measures } = intervals;
  const header = [
    'label', 'positives', 'negatives', 'threshold', 'not_measurable', ...MEASURES.flatMap((measure) => [measure, `${measure}_low`, `${measure}_high`]),
    ...(comparison ? ['other_auroc', 'auroc_difference', 'delong_low', 'delong_high', 'delong_p', 'delong_p_holm', 'bootstrap_low', 'bootstrap_high'] : []),
  ];
  const rows = metrics.labels.map((label, at) => [
    label.label, String(label.positives), String(label.negatives), cell(label.threshold), label.reason ?? '',
    ...MEASURES.flatMap((measure) => [cell(measureOf(label, measure)), ...bounds(measures[measure].labels[at])]), ...compared(comparison?.labels[at]),
  ]);
  const mean = [`mean of ${metrics.mean.aurocLabels} labels`, '', '', '', '', ...MEASURES.flatMap((measure) => [cell(measureOf(metrics.mean, measure)), ...bounds(measures[measure].mean)]), ...compared(comparison?.mean)];
  return [header, ...rows, mean];
}
