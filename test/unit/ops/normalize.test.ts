import { it } from 'vitest';
import { normalizeBackwardReference, normalizeReference } from '../../../src/autograd/ops/normalize.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it.each([1e-12, 10])('normalize: reference gradient agrees with central differences, eps %f', (eps) => {
  expectReferenceGradient(
    { x: input([3, 5], 1) },
    ({ x }) => normalizeReference(x, 5, eps),
    ({ x }, dY) => ({ x: normalizeBackwardReference(x, 5, dY, eps) }),
  );
});
