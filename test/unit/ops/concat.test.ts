import { expect, it } from 'vitest';
import { concatReference } from '../../../src/autograd/ops/concat.ts';
import { sliceReference } from '../../../src/autograd/ops/slice.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('concat: slices of dY agree with central differences', () => {
  expectReferenceGradient(
    { a: input([2, 1, 3], 1), b: input([2, 4, 3], 2) },
    ({ a, b }) => concatReference([a, b], [[2, 1, 3], [2, 4, 3]], 1),
    (_, dY) => ({ a: sliceReference(dY, [2, 5, 3], 1, 0, 1), b: sliceReference(dY, [2, 5, 3], 1, 1, 5) }),
  );
});

it('joins by hand', () => {
  expect([...concatReference([Float64Array.of(1, 2), Float64Array.of(3, 4, 5, 6)], [[2, 1], [2, 2]], 1)]).toEqual([1, 3, 4, 2, 5, 6]);
});
