import { expect, it } from 'vitest';
import { erfcReference, geluDerivativeReference, geluReference } from '../../../src/autograd/ops/gelu.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('gelu: reference gradient agrees with central differences', () => {
  expectReferenceGradient(
    { x: input([33], 1, { scale: 5 }) },
    ({ x }) => x.map(geluReference),
    ({ x }, dY) => ({ x: x.map((v, i) => geluDerivativeReference(v) * dY[i]!) }),
  );
});

it.each([
  [0, 1],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [2.4, 0.0006885138966450785],
  [3, 2.209049699858544e-5],
  [5, 1.5374597944280347e-12],
  [-1, 1.8427007929497148],
])('erfc(%f) agrees with tabulated values', (x, expected) => {
  expect(Math.abs(erfcReference(x) / expected - 1)).toBeLessThan(1e-11);
});
