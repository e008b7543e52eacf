import { it } from 'vitest';
import { leakyReluDerivativeReference, leakyReluReference } from '../../../src/autograd/ops/leaky-relu.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('leakyRelu: reference gradient agrees with central differences', () => {
  expectReferenceGradient(
    { x: input([33], 1, { shift: 1 / 64 }) }, // off the kink at 0, where the difference quotient is no derivative
    ({ x }) => x.map((v) => leakyReluReference(v, 0.1)),
    ({ x }, dY) => ({ x: x.map((v, i) => leakyReluDerivativeReference(v, 0.1) * dY[i]!) }),
  );
});
