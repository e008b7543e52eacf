import { it } from 'vitest';
import { gegluBackwardReference, gegluReference } from '../../../src/autograd/ops/geglu.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('geglu: reference gradient agrees with central differences', () => {
  expectReferenceGradient(
    { x: input([3, 10], 1, { scale: 3 }) },
    ({ x }) => gegluReference(x, 5),
    ({ x }, dY) => ({ x: gegluBackwardReference(x, 5, dY) }),
  );
});
