import { describe, expect, it } from 'vitest';
import { sampledError, sampledProductError } from '../../../bench/checks.ts';
import { cases } from '../../../bench/cases.ts';
import { benches as conv3d } from '../../../bench/conv3d.bench.ts';
import { problems } from '../../../bench/peers/problems.ts';
import { parameterShapes } from '../../../bench/peers/training-step.ts';
import { product } from '../../support/arrays.ts';

describe('checks before timing', () => {
  it('see a wrong element at both ends and pass a right result', () => {
    const right = Float32Array.from({ length: 1000 }, (_, i) => i + 1);
    expect(sampledError(right, (i) => i + 1)).toBe(0);
    for (const wrong of [0, 999]) expect(sampledError(right.with(wrong, -50), (i) => i + 1)).toBeGreaterThan(0.01);
  });

  it('see a product of the wrong operand', () => {
    const a = [[1, 2], [3, 4]];
    const b = [[5, 6], [7, 8]];
    const at = (m: number[][]) => (i: number, j: number): number => m[i]![j]!;
    expect(sampledProductError(Float32Array.of(19, 22, 43, 50), { n: 2, k: 2 }, at(a), at(b))).toBe(0);
    expect(sampledProductError(Float32Array.of(19, 22, 43, 50), { n: 2, k: 2 }, at(b), at(a))).toBeGreaterThan(0.1);
  });
});

describe('bench cases', () => {
  it('count the work of a convolution as MODEL §5 does: 10.8 GMAC of the small student are mostly not in its stem 1', () => {
    const stem = conv3d.find(({ name }) => name.startsWith('small stem 2'))!;
    expect(stem.forward.flop).toBe(2 * 12 ** 3 * 256 * 32 * 125);
  });

  it('have a name of their own, by which their results are kept', () => {
    expect(new Set(cases.map(({ family, name }) => `${family} ${name}`)).size).toBe(cases.length);
  });

  it('of products, convolutions and attention exist in f16 too, where the adapter has it, at half the bytes', () => {
    for (const family of ['matmul', 'linear', 'conv3d', 'attention']) {
      const half = cases.filter((bench) => bench.family === family && bench.needsF16);
      expect(half.length, family).toBeGreaterThan(1);
      for (const { name, forward } of half) {
        expect(name).toMatch(/, f16$/);
        expect(cases.find((bench) => bench.family === family && `${bench.name}, f16` === name)!.forward).toEqual({ flop: forward.flop, bytes: 2 * forward.bytes });
      }
    }
  });

  it('have a name of their own in the comparison', () => {
    expect(new Set(problems.map(({ name }) => name)).size).toBe(problems.length);
  });

  it('hold the tiny image tower of MODEL §5 in the step that engines share', () => {
    const vision = Object.entries(parameterShapes()).filter(([name]) => name.startsWith('vision.'));
    expect(vision.reduce((sum, [, shape]) => sum + product(shape), 0)).toBe(101_300);
  });
});
