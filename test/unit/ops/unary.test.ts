import { it } from 'vitest';
import { unaryDerivativeReference, unaryReference, type UnaryFunction } from '../../../src/autograd/ops/unary.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

// Shifted off the kink of abs at 0, where the difference quotient is no derivative.
it.each(Object.keys(unaryReference) as UnaryFunction[])('%s: reference gradient agrees with central differences', (name) => {
  expectReferenceGradient(
    { x: input([9], 1, { scale: 2, shift: name === 'log' || name === 'sqrt' ? 2.5 : 1 / 64 }) },
    ({ x }) => x.map(unaryReference[name]),
    ({ x }, dY) => ({ x: x.map((v, i) => unaryDerivativeReference[name](v) * dY[i]!) }),
  );
});
