import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  auroc, evaluateLabels, nearestCornerThreshold, rocCurve,
} from '../../../src/train/metrics.ts';
import { UNLABELLED } from '../../../src/data/index.ts';
import { reliabilityCurve } from '../../../src/train/calibration.ts';
import { MEASURES, measureColumn, prepareColumn, type Measures } from '../../../src/train/label-measures.ts';

const classify = (scores: ArrayLike<number>, truth: ArrayLike<number>, threshold: number) => measureColumn(prepareColumn(Float64Array.from(scores), Uint8Array.from(truth), threshold))!;

interface Case {
  name: string; scores: number[]; truth: number[]; auroc: number; falsePositiveRate: number[]; truePositiveRate: number[];
  thresholds: number[]; threshold: number | null; weightedF1: number; accuracy: number; precision: number; averagePrecision: number;
}
interface ProbabilityCase { name: string; scores: number[]; truth: number[]; averagePrecision: number; brier: number; ece: number; meanScore: number[]; observed: number[] }
const fixture = JSON.parse(readFileSync('test/fixtures/train/metrics.json', 'utf8')) as {
  cases: Case[];
  extremes: { name: string; truth: number[]; predictions: number[]; weightedF1: number; accuracy: number; precision: number }[];
  probabilities: ProbabilityCase[];
  weighted: { truth: number[]; scores: number[]; weights: number[] } & Measures;
};

/** Both sides compute ratios of small whole numbers in float64, in another order of sums: a few ulp, far below this. */
const TOLERANCE = 1e-9;
const close = (got: number, expected: number) => expect(Math.abs(got - expected)).toBeLessThanOrEqual(TOLERANCE);
const allClose = (got: ArrayLike<number>, expected: number[]) => {
  expect(got.length).toBe(expected.length);
  expected.forEach((value, at) => close(got[at]!, value));
};

describe.each(fixture.cases)('scikit-learn agrees: $name', (c) => {
  it('AUROC', () => close(auroc(c.scores, c.truth)!, c.auroc));

  it('ROC curve', () => {
    const roc = rocCurve(c.scores, c.truth)!;
    allClose(roc.falsePositiveRate, c.falsePositiveRate);
    allClose(roc.truePositiveRate, c.truePositiveRate);
    expect(roc.thresholds[0]).toBe(Infinity);
    allClose(roc.thresholds.subarray(1), c.thresholds);
  });

  it('threshold nearest to (0,1), and what it gives', () => {
    const threshold = nearestCornerThreshold(rocCurve(c.scores, c.truth)!);
    expect(threshold).toBe(c.threshold ?? Infinity);
    const got = classify(c.scores, c.truth, threshold);
    for (const key of ['auroc', 'averagePrecision', 'weightedF1', 'accuracy', 'precision'] as const) close(got[key]!, c[key]);
  });
});

it.each(fixture.extremes)('scikit-learn agrees with zero_division=0 where $name of the predictions are positive', ({ truth, predictions, ...expected }) => {
  const got = classify(predictions, truth, 0.5);
  for (const key of ['weightedF1', 'accuracy', 'precision'] as const) close(got[key]!, expected[key]);
});

describe.each(fixture.probabilities)('scikit-learn agrees on probabilities: $name', (c) => {
  it('average precision, Brier score, calibration error', () => {
    const got = classify(c.scores, c.truth, 0.5);
    for (const key of ['averagePrecision', 'brier', 'ece'] as const) close(got[key]!, c[key]);
  });

  it('the reliability curve', () => {
    const filled = reliabilityCurve(c.scores, c.truth)!.filter(({ count }) => count > 0);
    allClose(filled.map(({ meanScore }) => meanScore), c.meanScore);
    allClose(filled.map(({ observed }) => observed), c.observed);
  });
});

it('weights scans as if they stood there so many times, in every figure', () => {
  const { scores, truth, weights, ...expected } = fixture.weighted;
  const got = measureColumn(prepareColumn(Float64Array.from(scores), Uint8Array.from(truth), 0.5), weights)!;
  for (const measure of MEASURES) close(got[measure]!, expected[measure]!);
});

it('scores outside [0, 1] have no Brier score, calibration error or reliability curve', () => {
  expect(classify([-1, 2], [0, 1], 0)).toMatchObject({ auroc: 1, brier: null, ece: null });
  expect(reliabilityCurve([-1, 2], [0, 1])).toBeNull();
});

describe('auroc', () => {
  it('is the share of ordered pairs, ties one half (all pairs, by brute force)', () => {
    const scores = Array.from({ length: 63 }, (_, n) => ((n * 37) % 11) - ((n * 5) % 3));
    const truth = scores.map((_, n) => ((n * n) % 7 < 3 ? 1 : 0));
    let [pairs, right] = [0, 0];
    scores.forEach((a, i) => scores.forEach((b, j) => {
      if (truth[i] !== 1 || truth[j] !== 0) return;
      pairs += 1;
      right += a > b ? 1 : a === b ? 0.5 : 0;
    }));
    close(auroc(scores, truth)!, right / pairs);
  });

  it('is null where a class is missing', () => {
    expect(auroc([1, 2], [1, 1])).toBeNull();
    expect(auroc([1, 2], [0, 0])).toBeNull();
    expect(auroc([], [])).toBeNull();
    expect(rocCurve([1, 2], [1, 1])).toBeNull();
  });

  it('takes infinite scores, and -0 as 0', () => {
    expect(auroc([-Infinity, Infinity], [0, 1])).toBe(1);
    expect(auroc([-0, 0], [0, 1])).toBe(0.5);
  });

  it.each([
    [[1, NaN], [0, 1], 'auroc: scores must be numbers, got NaN at 1; the model\'s output is broken'],
    [[1, 2], [0, 2], 'auroc: truths must be 0 or 1, got 2 at 1'],
    [[1, 2], [0], 'auroc: one truth a score, got 2 scores and 1 truths'],
  ])('refuses %j for %j', (scores, truth, message) => expect(() => auroc(scores, truth)).toThrow(message));
});

describe('evaluateLabels', () => {
  const split = (rows: [number, number][][]) => ({
    scores: Float64Array.from(rows.flat().map(([score]) => score)),
    truths: Uint8Array.from(rows.flat().map(([, truth]) => truth)),
  });
  // Columns: measurable · no positive in test · one class in validation · unknown scans among known ones.
  const labels = ['good', 'absent', 'unfitted', 'partly known'];
  const validation = split([
    [[0.9, 1], [0.1, 0], [0.5, 1], [0.2, 0]],
    [[0.4, 0], [0.7, 1], [0.6, 1], [0.8, 1]],
    [[0.3, 0], [0.3, 0], [0.1, 1], [0.9, 0]],
  ]);
  const test = split([
    [[0.95, 1], [0.1, 0], [0.5, 1], [0.8, 1]],
    [[0.2, 0], [0.7, 0], [0.6, 0], [0.1, UNLABELLED]],
    [[0.92, 0], [0.3, 0], [0.1, 0], [0.2, 0]],
    [[0.5, 1], [0.3, 0], [0.7, 0], [0.9, UNLABELLED]],
  ]);
  const got = evaluateLabels(labels, validation, test, 'the phantom test split');

  it('fits thresholds on validation and applies them to test', () => {
    expect(got.labels[0]).toMatchObject({ positives: 2, negatives: 2, auroc: 0.75, threshold: 0.9, reason: null });
    // 0.95 and 0.92 pass 0.9: one right, one wrong, one missed.
    expect(got.labels[0]!.classification).toEqual({ weightedF1: 0.5, accuracy: 0.5, precision: 0.5 });
  });

  it('gives null and the reason for what cannot be measured', () => {
    expect(got.labels[1]).toMatchObject({ auroc: null, roc: null, classification: null, reason: 'no positive among the 4 scans of the phantom test split' });
    expect(got.labels[2]).toMatchObject({ threshold: null, classification: null, thresholdReason: 'no negative among the 3 scans of the validation split', reason: null });
    expect(got.labels[2]!.auroc).toBeCloseTo(1 / 3, 12);
  });

  it('leaves unknown scans out of their label', () => {
    expect(got.labels[3]).toMatchObject({ positives: 1, negatives: 1, auroc: 1 });
  });

  it('averages what was measured, and says over how many labels', () => {
    expect(got.mean.aurocLabels).toBe(3);
    close(got.mean.auroc!, (0.75 + 1 / 3 + 1) / 3);
    expect(got.mean.classificationLabels).toBe(2);
  });

  it('has no mean where nothing can be measured', () => {
    const none = evaluateLabels(['x'], split([[[1, 0]]]), split([[[1, 0]]]));
    expect(none.mean).toEqual({ auroc: null, aurocLabels: 0, averagePrecision: null, brier: null, ece: null, classification: null, classificationLabels: 0 });
    expect(evaluateLabels(['x'], split([]), split([[[1, UNLABELLED]]])).labels[0]!.reason).toBe('no labelled scan in the test split');
  });

  it('refuses shapes that do not fit', () => {
    expect(() => evaluateLabels(['a', 'b'], validation, { scores: new Float32Array(3), truths: new Uint8Array(3) })).toThrow(
      'evaluateLabels: the test split: scores and truths must be [scans, 2], got 3 scores and 3 truths',
    );
  });
});
