import { it } from 'vitest';
import { infoNceLossReference } from '../../../src/autograd/ops/info-nce-loss.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('infoNceLoss: reference gradient agrees with central differences', () => {
  const matched = (i: number, j: number): boolean => i % 2 === j % 2;
  expectReferenceGradient(
    { u: input([3, 5], 1), v: input([4, 5], 2), logScale: input([1], 3, { shift: 1 }) },
    (values) => Float64Array.of(infoNceLossReference(values, 5, matched).loss),
    (values, dY) => {
      const { u, v, logScale } = infoNceLossReference(values, 5, matched);
      const scaled = (x: Float64Array): Float64Array => x.map((value) => value * dY[0]!);
      return { u: scaled(u), v: scaled(v), logScale: scaled(logScale) };
    },
  );
});
