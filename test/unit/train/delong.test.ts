import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareModels } from '../../../src/train/compare.ts';
import { deLongTest, holmAdjust, midranks } from '../../../src/train/delong.ts';
import { gaussian, seededRandom, uniform } from '../../../src/train/sampler.ts';

interface Test { a: number; b: number; standardError: number; z: number; p: number }
interface Case { name: string; labels: number; a: number[]; b: number[]; truths: number[]; tests: Test[]; mean: Test }
const { cases } = JSON.parse(readFileSync('test/fixtures/train/delong.json', 'utf8')) as { cases: Case[] };

/** Both sides are float64; the p-value goes through erfc, right to 1e-12. */
const TOLERANCE = 1e-9;
const agree = (got: Test | null, expected: Test): void => {
  for (const key of ['a', 'b', 'standardError', 'z', 'p'] as const) expect(Math.abs(got![key] - expected[key]), key).toBeLessThanOrEqual(TOLERANCE);
};

describe.each(cases)('all pairs by numpy agree: $name', ({ labels, a, b, truths, tests, mean }) => {
  const column = (values: number[], label: number): number[] => values.filter((_, at) => at % labels === label);
  const split = (scores: number[]) => ({ scores: Float64Array.from(scores), truths: Uint8Array.from(truths) });

  it('each label', () => tests.forEach((expected, label) => agree(deLongTest(column(a, label), column(b, label), column(truths, label)) as Test, expected)));

  it('their mean, and the interval of 1.96 errors', () => {
    const patients = Array.from({ length: truths.length / labels }, (_, n) => `p${n}`);
    const got = compareModels({ a: 'a', b: 'b' }, tests.map((_, n) => `label ${n}`), split(a), split(b), patients, { seed: 1, resamples: 40 });
    agree(got.mean.test as Test, mean);
    expect(got.mean.test!.high - got.mean.test!.difference).toBeCloseTo(1.959963985 * mean.standardError, 8);
    expect(got.labels.map(({ test }) => test!.p)).toEqual(tests.map(({ p }) => expect.closeTo(p, 9)));
  });
});

describe('deLongTest', () => {
  it('finds no difference between a model and itself', () => {
    expect(deLongTest([1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 0, 1])).toMatchObject({ difference: 0, standardError: 0, z: null, p: 1 });
  });
  it('gives no p-value where both are perfect in opposite ways: there is no variance', () => {
    expect(deLongTest([1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 1, 1])).toMatchObject({ difference: 1, z: null, p: null });
  });
  it('needs two scans of each class', () => {
    expect(deLongTest([1, 2, 3], [1, 2, 3], [0, 0, 1])).toBeNull();
  });
  it('rejects as often as it says where nothing differs', () => {
    // 400 pairs of equal models at level 0.05: 20 ± 4.4 rejections; within four deviations.
    let rejected = 0;
    for (let trial = 0; trial < 400; trial += 1) {
      const random = seededRandom(3, 'null', trial);
      const truth = Array.from({ length: 120 }, () => (uniform(random) < 0.4 ? 1 : 0));
      const signal = truth.map((value) => value + gaussian(random));
      const model = (): number[] => signal.map((value) => value + gaussian(random));
      if (deLongTest(model(), model(), truth)!.p! < 0.05) rejected += 1;
    }
    expect(Math.abs(rejected - 20)).toBeLessThan(18);
  });
});

it('midranks are means of tied ranks', () => expect([...midranks([3, 1, 3, 2, 3, 1])]).toEqual([5, 1.5, 5, 3, 5, 1.5]));

it("Holm's adjustment never falls, stays below 1 and passes over null", () => {
  // 0.01·4, 0.02·3, max(0.03·2, 0.06), min(1, 0.9)
  expect(holmAdjust([0.03, 0.01, null, 0.9, 0.02])).toEqual([0.06, 0.04, null, 0.9, 0.06]);
});

describe('compareModels', () => {
  const random = seededRandom(5, 'compare');
  const truths = Uint8Array.from({ length: 200 }, () => (uniform(random) < 0.4 ? 1 : 0));
  const good = Float64Array.from(truths, (value) => 2 * value + gaussian(random));
  const noisy = good.map((value) => value + 3 * gaussian(random));
  const patients = Array.from({ length: 200 }, (_, n) => `p${n >> 1}`);
  const run = (a: Float64Array, b: Float64Array) => compareModels({ a: 'good', b: 'noisy' }, ['x'], { scores: a, truths }, { scores: b, truths }, patients, { seed: 2 });

  it('draws the same patients for both: a model differs from itself by nothing', () => {
    const { mean, labels } = run(good, good);
    expect(mean.bootstrap).toMatchObject({ low: 0, high: 0, used: 1000 });
    expect(labels[0]!.bootstrap).toEqual(mean.bootstrap);
  });

  it('sees the better model, and its interval is near DeLong’s', () => {
    const { mean: { test, bootstrap }, patients: count } = run(good, noisy);
    expect(count).toBe(100);
    expect(test!.p).toBeLessThan(0.001);
    expect(bootstrap!.low).toBeGreaterThan(0);
    // Two ways to the same interval: widths within a quarter of each other.
    expect(Math.abs((bootstrap!.high - bootstrap!.low) / (test!.high - test!.low) - 1)).toBeLessThan(0.25);
  });

  it('has one mean for both tests: a label with a single positive is in neither', () => {
    const withRare = (scores: Float64Array, rare: (n: number) => number) => ({ scores: Float64Array.from({ length: 400 }, (_, at) => (at % 2 ? rare(at >> 1) : scores[at >> 1]!)), truths: Uint8Array.from({ length: 400 }, (_, at) => (at % 2 ? (at === 1 ? 1 : 0) : truths[at >> 1]!)) });
    const got = compareModels({ a: 'a', b: 'b' }, ['x', 'rare'], withRare(good, (n) => -n), withRare(noisy, (n) => n), patients, { seed: 2 });
    const alone = run(good, noisy);
    expect(got.labels[1]).toMatchObject({ test: null, adjustedP: null });
    expect(got.mean).toEqual(alone.mean);
  });

  it('refuses other truths', () => {
    expect(() => compareModels({ a: 'x', b: 'y' }, ['l'], { scores: good, truths }, { scores: good, truths: truths.map((value) => 1 - value) }, patients, { seed: 1 })).toThrow('same scans and truths');
  });
});
