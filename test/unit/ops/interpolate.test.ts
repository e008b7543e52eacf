import { it } from 'vitest';
import { interpolateBackwardReference, interpolateReference } from '../../../src/autograd/ops/interpolate.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('interpolate: reference gradient agrees with central differences', () => {
  const shape = [1, 2, 3, 5, 4];
  const size = [5, 2, 4];
  expectReferenceGradient(
    { x: input(shape, 1) },
    ({ x }) => interpolateReference(x, shape, size),
    (_, dY) => ({ x: interpolateBackwardReference(dY, shape, size) }),
  );
});
