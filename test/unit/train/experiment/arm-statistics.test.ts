import { describe, expect, it } from 'vitest';
import { labelEstimates, meanDifference, meanEstimate, measureRun, relativeLoss, spreadOf, type MeasuredRun } from '../../../../src/train/experiment/arm-statistics.ts';
import { bootstrapMetrics } from '../../../../src/train/bootstrap.ts';
import { compareModels } from '../../../../src/train/compare.ts';
import type { ScoredSplit } from '../../../../src/train/metrics.ts';
import { gaussian, seededRandom, uniform } from '../../../../src/train/sampler.ts';

const labels = 3;
const scans = 60;
const patientIds = Array.from({ length: scans }, (_, n) => `p${Math.floor(n / 2)}`);
const truths = (() => {
  const random = seededRandom(1, 'truths');
  return Uint8Array.from({ length: scans * labels }, () => (uniform(random) < 0.4 ? 1 : 0));
})();

/** Scores whose distance between the classes is `signal` standard deviations. */
function split(seed: number, signal: number): ScoredSplit {
  const random = seededRandom(seed, 'scores');
  return { truths, scores: Float64Array.from(truths, (truth) => gaussian(random) + signal * truth) };
}

const options = { seed: 0, resamples: 400 };
const run = (seed: number, signal: number): MeasuredRun => measureRun(seed, split(seed, signal), labels, patientIds, options);

describe('measureRun', () => {
  it('gives the AUROCs and intervals of bootstrapMetrics', () => {
    const measured = run(1, 1);
    const { measures } = bootstrapMetrics(labels, split(1, 1), patientIds, [null, null, null], options);
    const { value, interval } = meanEstimate([measured]);
    expect(interval).toEqual({ low: measures.auroc.mean!.low, high: measures.auroc.mean!.high });
    expect(value).toBeCloseTo([...measured.labels].reduce((sum, each) => sum + each, 0) / labels, 12);
    expect(labelEstimates([measured], null, 0).map(({ auroc }) => auroc!.interval)).toEqual(measures.auroc.labels.map((each) => ({ low: each!.low, high: each!.high })));
  });

  it('leaves a label without both classes out of the mean', () => {
    const scored = split(1, 1);
    const none = { scores: scored.scores, truths: truths.map((truth, at) => (at % labels === 1 ? 0 : truth)) };
    const measured = measureRun(1, none, labels, patientIds, options);
    expect(measured.labels[1]).toBeNaN();
    expect(measured.mean).toBeCloseTo((measured.labels[0]! + measured.labels[2]!) / 2, 12);
    expect(labelEstimates([measured], [measured], 0)[1]).toEqual({ auroc: null, difference: null });
  });
});

describe('comparisons', () => {
  it('with one seed are the paired bootstrap over patients', () => {
    const [a, b] = [run(1, 1.5), run(2, 0.5)];
    const twin = { ...b, seed: 1 };
    const { mean } = compareModels({ a: 'a', b: 'b' }, ['x', 'y', 'z'], split(1, 1.5), split(2, 0.5), patientIds, options);
    const difference = meanDifference([a], [twin], 0)!;
    expect(difference.value).toBeCloseTo(a.mean - b.mean, 12);
    expect(difference.interval!.low).toBeCloseTo(mean.bootstrap!.low, 12);
    expect(difference.interval!.high).toBeCloseTo(mean.bootstrap!.high, 12);
  });

  it('give the loss relative to the other, and pair by seed', () => {
    const arm = [run(1, 0.5), run(2, 0.5), run(9, 0.1)];
    const baseline = [{ ...run(12, 1.5), seed: 2 }, { ...run(11, 1.5), seed: 1 }];
    const [mine, reference] = [(arm[0]!.mean + arm[1]!.mean) / 2, (baseline[0]!.mean + baseline[1]!.mean) / 2];
    const loss = relativeLoss(arm, baseline, 0)!;
    expect(loss.value).toBeCloseTo((reference - mine) / reference, 12);
    expect(loss.interval!.low).toBeLessThan(loss.value);
    expect(loss.interval!.high).toBeGreaterThan(loss.value);
    expect(relativeLoss(arm, [{ ...baseline[0]!, seed: 77 }], 0)).toBeNull();
  });

  it('are wider where seeds disagree', () => {
    // The same scores but for a seed's shift of the AUROC: only drawing the seeds can see it.
    const base = run(1, 1);
    const shifted = (seed: number, by: number): MeasuredRun => ({ ...base, seed, mean: base.mean + by, resampledMeans: base.resampledMeans.map((value) => value + by) });
    const baseline = [shifted(1, 0), shifted(2, 0), shifted(3, 0)];
    const width = (arm: MeasuredRun[]): number => {
      const { low, high } = meanDifference(arm, baseline, 0)!.interval!;
      return high - low;
    };
    expect(width([shifted(1, 0.1), shifted(2, 0.1), shifted(3, 0.1)])).toBeCloseTo(0, 12);
    expect(width([shifted(1, 0), shifted(2, 0.1), shifted(3, 0.2)])).toBeGreaterThan(0.15);
  });
});

it('spreadOf gives range and standard deviation', () => {
  const at = (mean: number): MeasuredRun => ({ ...run(1, 1), mean });
  expect(spreadOf([at(0.6), at(0.8), at(0.7)])).toEqual({ low: 0.6, high: 0.8, deviation: expect.closeTo(0.1, 12) as number });
  expect(spreadOf([at(0.6)]).deviation).toBeNull();
});
