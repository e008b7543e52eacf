import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { preprocess, resampledShape, resampleTrilinear, toHuInt16 } from '../../../src/data/index.ts';
import type { CtVolume, Size3 } from '../../../src/data/index.ts';
import { randomHu } from './volumes.ts';

interface Fixture {
  shape: Size3;
  spacingMm: Size3;
  targetSpacingMm: Size3;
  hu: number[];
  outShape: Size3;
  out: number[];
  grid: Size3;
  values: number[];
}
const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/data/resample.json', import.meta.url), 'utf8')) as Fixture[];

const volumeOf = (hu: ArrayLike<number>, shape: Size3, spacingMm: Size3): CtVolume => ({
  hu: Float32Array.from(hu), shape, spacingMm, warnings: [], source: 'test',
});
const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

describe('resampleTrilinear', () => {
  it.each(fixtures)('gives what torch gives: $shape at $spacingMm to $targetSpacingMm', (fixture) => {
    const out = resampleTrilinear(volumeOf(fixture.hu, fixture.shape, fixture.spacingMm), fixture.targetSpacingMm);
    expect(out.shape).toEqual(fixture.outShape);
    expect(out.spacingMm).toEqual(fixture.targetSpacingMm);
    // Three float32 passes over values up to 1600 and fixtures rounded to 5e-4: 1e-6 relative each.
    expect(largestDifference(out.hu, fixture.out)).toBeLessThan(3e-3);
  });

  it('keeps a slice that float32 spacing would lose to floor', () => {
    const spacing = Math.fround(0.7);
    expect(spacing).toBeLessThan(0.7);
    expect(resampledShape([512, 1, 1], [spacing, 1, 1], [0.7, 1, 1])).toEqual([512, 1, 1]);
    expect(resampledShape([511, 2, 3], [0.7, 1, 1], [1.4, 5, 5])).toEqual([255, 1, 1]);
  });

  it('antialias averages where the target is over twice as coarse, and only there', () => {
    const shape: Size3 = [2, 6, 9];
    const hu = randomHu(5, shape);
    const volume = volumeOf(hu, shape, [1, 1, 1]);
    const out = resampleTrilinear(volume, [1, 2, 3], { antialias: true });
    expect(out.shape).toEqual([2, 3, 3]);
    for (let d = 0; d < 2; d++) {
      for (let y = 0; y < 3; y++) {
        for (let x = 0; x < 3; x++) {
          // Y at exactly twice: trilinear, which at this phase is the mean of two; X: the mean of three.
          let sum = 0;
          for (const dy of [0, 1]) for (const dx of [0, 1, 2]) sum += hu[(d * 6 + 2 * y + dy) * 9 + 3 * x + dx]!;
          expect(out.hu[(d * 3 + y) * 3 + x]).toBeCloseTo(sum / 6, 2);
        }
      }
    }
    const plain = resampleTrilinear(volume, [1, 2, 3]);
    expect(largestDifference(plain.hu, out.hu)).toBeGreaterThan(10);
  });

  it('antialias keeps the mean at a ratio that is not whole, and weighs the rims', () => {
    const volume = volumeOf([10, 20, 30, 40, 50], [1, 1, 5], [1, 1, 1]);
    const out = resampleTrilinear(volume, [1, 1, 2.5], { antialias: true });
    expect([...out.hu]).toEqual([(10 + 20 + 15) / 2.5, (15 + 40 + 50) / 2.5]);
  });

  it('refuses a target that is no spacing', () => {
    expect(() => resampleTrilinear(volumeOf([0], [1, 1, 1], [1, 1, 1]), [0, 1, 1])).toThrow('target spacing must be positive, got [0, 1, 1] mm');
    expect(() => resampleTrilinear(volumeOf([0], [1, 1, 1], [1, 1, 1]), [NaN, 1, 1])).toThrow('target spacing must be positive');
  });

  it('takes seconds at most for a 512 × 512 × 64 scan', () => {
    const volume = volumeOf(new Float32Array(512 * 512 * 64), [64, 512, 512], [5, 0.84, 0.84]);
    const start = performance.now();
    resampleTrilinear(volume, [3, 1.5, 1.5], { antialias: true });
    // Measured 0.15 s on two idle cores; the bound is for a busy machine and catches only a lost order of magnitude.
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe('preprocess', () => {
  it.each(fixtures)('crops and pads $outShape to $grid as CT-CLIP does', (fixture) => {
    const volume = volumeOf(fixture.hu, fixture.shape, fixture.spacingMm);
    const input = preprocess(volume, { shape: fixture.grid, spacingMm: fixture.targetSpacingMm });
    expect(input.resampledShape).toEqual(fixture.outShape);
    expect(input.values.length).toBe(fixture.values.length);
    expect(largestDifference(input.values, fixture.values)).toBeLessThan(3e-6);
  });

  it('clips to the window and pads with air', () => {
    const { values } = preprocess(volumeOf([-3000, 3000], [1, 1, 2], [1, 1, 1]), { shape: [1, 1, 5], spacingMm: [1, 1, 1] });
    expect([...values]).toEqual([-1, -1, 1, -1, -1]);
  });

  it('gives int16 HU back', () => {
    expect([...toHuInt16(Float32Array.of(-1, 0.0404, 1))]).toEqual([-1000, 40, 1000]);
  });
});
