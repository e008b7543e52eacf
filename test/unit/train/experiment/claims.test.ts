import { expect, it } from 'vitest';
import type { MeasuredRun } from '../../../../src/train/experiment/arm-statistics.ts';
import { testClaims } from '../../../../src/train/experiment/claims.ts';
import type { ArmResult, Range } from '../../../../src/train/experiment/results.ts';

/** A run whose resamples are these means. */
const run = (seed: number, means: number[]): MeasuredRun => ({ seed, mean: means[1]!, labels: Float64Array.of(means[1]!), resampledMeans: Float64Array.from(means), resampledLabels: [Float64Array.from(means)] });

function arm(id: string, heads: number, loss: Range | null): ArmResult {
  return {
    arm: id, title: id, group: 'core', input: 'jpeg', quality: 75, fast: null, head: id === 'ct-lite' ? 'sfp' : 'dense', seeds: [], meanAuroc: { value: 0.7, interval: null },
    spread: { low: 0.7, high: 0.7, deviation: null }, relativeLoss: loss && { value: (loss.low + loss.high) / 2, interval: loss }, labels: [],
    parameters: { encoder: 1, heads }, macs: { encoder: 1, heads: 1 }, bytesPerVolume: 1, errorHu: 1, secondsAStep: 1, peakGpuBytes: 1,
  };
}

function verdicts(loss: Range, jpegMeans: number[], heads: number): string[] {
  const arms = [arm('baseline', 100, null), arm('jpeg', 100, loss), arm('ct-lite', heads, loss)];
  const measured = new Map([['jpeg', [run(0, jpegMeans)]], ['ct-lite', [run(0, [0.69, 0.7, 0.71])]]]);
  return testClaims(arms, measured, 0).map(({ verdict }) => verdict);
}

it.each([
  ['all held', { low: -0.01, high: 0.04 }, [0.6, 0.6, 0.6], 52, ['held', 'held', 'held']],
  ['all not', { low: 0.06, high: 0.09 }, [0.8, 0.8, 0.8], 53, ['not held', 'not held', 'not held']],
  ['intervals over the bounds', { low: 0.01, high: 0.06 }, [0.6, 0.7, 0.8], 52, ['not decidable', 'not decidable', 'held']],
  ['a difference of nothing', { low: 0, high: 0.05 }, [0.69, 0.7, 0.71], 52, ['held', 'not decidable', 'held']],
])('%s', (_, loss, jpegMeans, heads, expected) => expect(verdicts(loss, jpegMeans, heads)).toEqual(expected));

it('says what was not run', () => {
  expect(testClaims([arm('baseline', 100, null)], new Map(), 0).map(({ verdict, numbers }) => [verdict, numbers])).toEqual([
    ['not decidable', 'ct-lite has no finished run'], ['not decidable', 'ct-lite has no finished run'], ['not decidable', 'ct-lite has no finished run'],
  ]);
});
