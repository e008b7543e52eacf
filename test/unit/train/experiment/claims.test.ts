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

function claims(loss: Range, jpegMeans: number[], heads: number, seeds = [0, 1, 2]): ReturnType<typeof testClaims> {
  const arms = [arm('baseline', 100, null), arm('jpeg', 100, loss), arm('ct-lite', heads, loss)];
  const runs = (means: number[], own = seeds): MeasuredRun[] => own.map((seed) => run(seed, means));
  return testClaims(arms, new Map([['baseline', runs([0.7, 0.7, 0.7], [0, 1, 2])], ['jpeg', runs(jpegMeans)], ['ct-lite', runs([0.69, 0.7, 0.71])]]), 0);
}

const verdicts = (...given: Parameters<typeof claims>): string[] => claims(...given).map(({ verdict }) => verdict);

it.each([
  ['all held', { low: -0.01, high: 0.04 }, [0.6, 0.6, 0.6], 52, ['held', 'held', 'held']],
  ['all not', { low: 0.06, high: 0.09 }, [0.8, 0.8, 0.8], 53, ['not held', 'not held', 'not held']],
  ['intervals over the bounds', { low: 0.01, high: 0.06 }, [0.6, 0.7, 0.8], 52, ['not decidable', 'not decidable', 'held']],
  ['a difference of nothing', { low: 0, high: 0.05 }, [0.69, 0.7, 0.71], 52, ['held', 'not decidable', 'held']],
])('%s', (_, loss, jpegMeans, heads, expected) => expect(verdicts(loss, jpegMeans, heads)).toEqual(expected));

it('decides nothing about AUROC on fewer than three seeds', () => {
  const found = claims({ low: -0.01, high: 0.04 }, [0.6, 0.6, 0.6], 52, [1, 2]);
  expect(found.map(({ verdict }) => verdict)).toEqual(['not decidable', 'not decidable', 'held']);
  expect(found[0]!.numbers).toBe('relative loss 1.5 % [−1.0 %, 4.0 %], 2 seeds of at least 3');
});

it('says what was not run', () => {
  expect(testClaims([arm('baseline', 100, null)], new Map(), 0).map(({ verdict, numbers }) => [verdict, numbers])).toEqual([
    ['not decidable', 'ct-lite has no finished run'], ['not decidable', 'ct-lite has no finished run'], ['not decidable', 'ct-lite has no finished run'],
  ]);
});
