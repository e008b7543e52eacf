import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { blockTensorTrainReference } from '../../../src/autograd/ops/block-tensor-train.ts';
import { compressDenseHead, fullRank, presets, rankKeeping, type HeadConfig } from '../../../src/model/index.ts';
import { singularValueDecomposition } from '../../../src/model/singular-values.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';

interface Fixture {
  matrices: { name: string; rows: number; columns: number; values: number[]; singularValues: number[] }[];
  heads: { inFactors: [number, number]; outFactors: [number, number]; weight: number[]; x: number[]; ranks: { rank: number; relativeError: number; y: number[] }[] }[];
}
const fixture = JSON.parse(readFileSync(new URL('../../fixtures/model/svd.json', import.meta.url), 'utf8')) as Fixture;

describe('singularValueDecomposition', () => {
  // float64 throughout; 1e-13 of the largest singular value is a few hundred roundings.
  it.each(fixture.matrices)("gives numpy's singular values and the matrix back: $name", ({ rows, columns, values, singularValues }) => {
    const { u, s, v } = singularValueDecomposition(values, rows, columns);
    const count = Math.min(rows, columns);
    const largest = Math.max(singularValues[0]!, Number.MIN_VALUE);
    s.forEach((value, at) => expect(Math.abs(value - singularValues[at]!) / largest).toBeLessThan(1e-13));
    const product = Float64Array.from(values, (_, at) => s.reduce((sum, value, k) => sum + u[Math.floor(at / columns) * count + k]! * value * v[(at % columns) * count + k]!, 0));
    values.forEach((value, at) => expect(Math.abs(value - product[at]!) / largest).toBeLessThan(1e-13));
    for (const [vectors, extent] of [[u, rows], [v, columns]] as const) {
      for (let k = 0; k < count; k++) {
        for (let l = 0; l <= k; l++) {
          let inner = 0;
          for (let i = 0; i < extent; i++) inner += vectors[i * count + k]! * vectors[i * count + l]!;
          // Vectors of (nearly) zero singular values are rounding errors of their side.
          if (s[k]! > 1e-9 * largest) expect(Math.abs(inner - (k === l ? 1 : 0))).toBeLessThan(1e-5);
        }
      }
    }
  });

  it.each([[63, 65], [65, 63], [64, 1]])('decomposes %i × %i', (rows, columns) => {
    const values = randomArray(rows * columns, 7);
    const { u, s, v } = singularValueDecomposition(values, rows, columns);
    const count = Math.min(rows, columns);
    const back = values.map((_, at) => s.reduce((sum, value, k) => sum + u[Math.floor(at / columns) * count + k]! * value * v[(at % columns) * count + k]!, 0));
    expectClose(back, values, 1e-13);
  });

  it('refuses what does not fill the matrix or is not finite', () => {
    expect(() => singularValueDecomposition([1, 2, 3], 2, 2)).toThrow('[2, 2] holds 4 values, got 3');
    expect(() => singularValueDecomposition([1, NaN], 1, 2)).toThrow('values must be finite, got NaN at 1');
  });
});

describe('compressDenseHead', () => {
  const configOf = ({ outFactors, inFactors }: Fixture['heads'][number], rank: number): HeadConfig => ({ latent: outFactors[0] * outFactors[1], kind: 'sfp', blockLength: inFactors[1], outFactors, rank });

  for (const [index, head] of fixture.heads.entries()) {
    const { inFactors, outFactors, weight, x, ranks } = head;
    it.each(ranks)(`is numpy's block-wise truncation of head ${index}, to f32: rank $rank`, ({ rank, relativeError, y }) => {
      const { core0, core1, shape0, shape1, relativeError: error } = compressDenseHead(weight, inFactors[0] * inFactors[1], configOf(head, rank));
      const train = blockTensorTrainReference(Float64Array.from(x), [Float64Array.from(core0), Float64Array.from(core1)], [shape0, shape1], { inFactors, outFactors });
      expectClose(train, y, 1e-6);
      expect(Math.abs(error - relativeError)).toBeLessThan(1e-6);
    });

    it(`gives head ${index} back at full rank`, () => {
      const rank = fullRank(configOf(head, 1));
      const { relativeError } = compressDenseHead(weight, inFactors[0] * inFactors[1], configOf(head, rank));
      expect(relativeError).toBeLessThan(1e-6);
      expect(ranks.at(-1)!.rank).toBe(rank);
    });
  }

  it('keeps the fraction of the weights that is asked for', () => {
    const { head } = presets.small;
    expect(rankKeeping(0.5, head)).toBe(8);
    expect(rankKeeping(0.49, head)).toBe(7);
    expect(rankKeeping(0.001, head)).toBe(1);
    expect(rankKeeping(0.5, presets.tiny.head)).toBe(4);
    for (const fraction of [0, -1, 1.5, NaN]) expect(() => rankKeeping(fraction, head)).toThrow('must be above 0 and at most 1');
  });

  it('refuses sizes that do not fit', () => {
    const config = configOf(fixture.heads[0]!, 2);
    expect(() => compressDenseHead(fixture.heads[0]!.weight, 11, config)).toThrow('input length 11 must be a multiple of the block length 4');
    expect(() => compressDenseHead(fixture.heads[0]!.weight, 8, config)).toThrow('weight must be [10, 8], got 120 values');
    expect(() => compressDenseHead(fixture.heads[0]!.weight, 12, { ...config, rank: 5 })).toThrow('rank must be a whole number from 1 to 4, got 5');
    expect(() => compressDenseHead(fixture.heads[0]!.weight, 12, { ...config, latent: 9 })).toThrow('must give the latent length 9');
  });
});
