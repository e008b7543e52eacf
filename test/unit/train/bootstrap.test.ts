import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootstrapMetrics, quantile, type BootstrapOptions } from '../../../src/train/bootstrap.ts';
import { MEASURES, measureColumn, prepareColumn } from '../../../src/train/label-measures.ts';
import { gaussian, seededRandom, uniform } from '../../../src/train/sampler.ts';

/** The AUROC's intervals, and what all share. */
function bootstrapAuroc(labels: number, split: { scores: Float64Array; truths: Uint8Array }, patientIds: string[], options: BootstrapOptions) {
  const { measures, ...shared } = bootstrapMetrics(labels, split, patientIds, Array<null>(labels).fill(null), options);
  return { ...measures.auroc, ...shared };
}

/** A cohort of patients with some scans each; label k's scores are `separation` deviations apart. */
function cohort(patients: number, scansEach: number, labels: number, separation: number, seed: number) {
  const random = seededRandom(seed, 'cohort');
  const count = patients * scansEach;
  const truths = new Uint8Array(count * labels);
  const scores = new Float64Array(count * labels);
  for (let at = 0; at < truths.length; at += 1) {
    truths[at] = uniform(random) < 0.4 ? 1 : 0;
    scores[at] = gaussian(random) + separation * truths[at]!;
  }
  return { split: { scores, truths }, patientIds: Array.from({ length: count }, (_, n) => `p${Math.floor(n / scansEach)}`) };
}

describe('quantile', () => {
  const { values, levels, quantiles } = (JSON.parse(readFileSync('test/fixtures/train/metrics.json', 'utf8')) as {
    quantile: { values: number[]; levels: number[]; quantiles: number[] };
  }).quantile;
  // One multiplication and one addition on each side.
  it('agrees with numpy', () => levels.forEach((level, at) => expect(quantile(values, level)).toBeCloseTo(quantiles[at]!, 14)));
});

describe('bootstrapAuroc', () => {
  it('holds the point estimate, narrows with more patients, and repeats with its seed', () => {
    const [small, large] = [cohort(30, 2, 2, 1, 5), cohort(480, 2, 2, 1, 5)];
    const at = (data: typeof small, seed = 7) => bootstrapAuroc(2, data.split, data.patientIds, { seed });
    const [narrow, wide] = [at(large).mean!, at(small).mean!];
    // Φ(1/√2) = 0.760 is the AUROC of two normals one deviation apart; at 960 scans × 2 labels the interval is ±0.02 or so.
    expect(narrow.low).toBeLessThan(0.76);
    expect(narrow.high).toBeGreaterThan(0.76);
    // Sixteen times the patients: a quarter of the width, within a wide margin for chance.
    expect((wide.high - wide.low) / (narrow.high - narrow.low)).toBeGreaterThan(2.5);
    expect(at(small)).toEqual(at(small));
    expect(at(small, 8).mean).not.toEqual(wide);
    expect(at(small)).toMatchObject({ patients: 30, resamples: 1000, seed: 7 });
  });

  it('draws patients, not scans: copies of a scan do not narrow the interval', () => {
    const single = cohort(40, 1, 1, 1, 3);
    const copies = 8;
    const repeat = <T>(values: Iterable<T>) => [...values].flatMap((value) => Array<T>(copies).fill(value));
    const copied = { scores: Float64Array.from(repeat(single.split.scores)), truths: Uint8Array.from(repeat(single.split.truths)) };
    // AUROC does not change when every scan is copied, and the same patients are drawn: equal to the last bit or nearly.
    const a = bootstrapAuroc(1, single.split, single.patientIds, { seed: 1 }).mean!;
    const b = bootstrapAuroc(1, copied, repeat(single.patientIds), { seed: 1 }).mean!;
    expect(b.low).toBeCloseTo(a.low, 12);
    expect(b.high).toBeCloseTo(a.high, 12);
  });

  it('counts the resamples in which a label lacks a class', () => {
    // One positive among ten patients: (1 − 1/10)^10 = 0.349 of the resamples have none; binomial deviation 0.015, three of them.
    const split = { scores: Float64Array.from({ length: 10 }, (_, n) => n), truths: Uint8Array.from({ length: 10 }, (_, n) => (n === 9 ? 1 : 0)) };
    const { labels } = bootstrapAuroc(1, split, Array.from({ length: 10 }, (_, n) => String(n)), { seed: 2 });
    expect(Math.abs(labels[0]!.skipped / 1000 - 0.349)).toBeLessThan(0.045);
    expect(labels[0]!.used + labels[0]!.skipped).toBe(1000);
    expect(labels[0]).toMatchObject({ low: 1, high: 1 });
  });

  it('gives null for a label that no resample can measure, and measures the mean over the others', () => {
    const split = { scores: Float64Array.from([1, 5, 2, 6, 3, 7, 4, 8]), truths: Uint8Array.from([0, 0, 0, 0, 1, 0, 1, 0]) };
    const { labels, mean } = bootstrapAuroc(2, split, ['a', 'b', 'c', 'd'], { seed: 1, resamples: 50 });
    expect(labels[1]).toBeNull();
    expect(mean).toEqual(labels[0]);
  });

  it('has no interval for one patient', () => {
    const split = { scores: Float64Array.from([1, 2]), truths: Uint8Array.from([0, 1]) };
    expect(bootstrapAuroc(1, split, ['a', 'a'], { seed: 1 })).toMatchObject({ mean: null, labels: [null], patients: 1 });
  });

  it('refuses a wrong number of patient ids', () => {
    const split = { scores: new Float64Array(4), truths: new Uint8Array(4) };
    expect(() => bootstrapAuroc(2, split, ['a'], { seed: 1 })).toThrow('bootstrapMetrics: one patient id a scan, got 1 for 2 scans');
  });
});

describe('bootstrapMetrics', () => {
  const { split, patientIds } = cohort(60, 2, 1, 1, 9);
  const probabilities = { scores: split.scores.map((score) => 1 / (1 + Math.exp(-score))), truths: split.truths };

  it('gives every figure an interval that holds its estimate', () => {
    const { measures } = bootstrapMetrics(1, probabilities, patientIds, [0.6], { seed: 4 });
    const estimate = measureColumn(prepareColumn(probabilities.scores, probabilities.truths, 0.6))!;
    for (const measure of MEASURES) {
      const { low, high, used } = measures[measure].labels[0]!;
      expect(used, measure).toBe(1000);
      expect(high - low, measure).toBeGreaterThan(0.01);
      // The calibration error is pushed up by resampling noise, so that it may stand below its interval.
      if (measure !== 'ece') expect([low < estimate[measure]!, estimate[measure]! < high], measure).toEqual([true, true]);
      expect(measures[measure].mean).toEqual(measures[measure].labels[0]);
    }
  });

  it('has none for what cannot be measured: no threshold, no probabilities', () => {
    const { measures } = bootstrapMetrics(1, split, patientIds, [null], { seed: 4, resamples: 20 });
    expect(MEASURES.filter((measure) => measures[measure].mean)).toEqual(['auroc', 'averagePrecision']);
  });
});
