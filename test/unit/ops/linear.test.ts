import { it } from 'vitest';
import { linearBackwardReference, linearReference } from '../../../src/autograd/ops/linear.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('linear: reference gradient agrees with central differences', () => {
  expectReferenceGradient(
    { x: input([3, 4], 1), weight: input([2, 4], 2), bias: input([2], 3) },
    ({ x, weight, bias }) => linearReference(x, weight, bias, 4),
    ({ x, weight }, dY) => linearBackwardReference(x, weight, dY, 4),
  );
});
