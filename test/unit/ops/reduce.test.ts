import { expect, it } from 'vitest';
import { sumBackwardReference, sumReference } from '../../../src/autograd/ops/reduce.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it.each([[[0]], [[1]], [[2]], [[0, 2]], [[0, 1, 2]], [[]]])('sum over %j: reference gradient agrees with central differences', (axes) => {
  expectReferenceGradient(
    { x: input([3, 2, 5], 1) },
    ({ x }) => sumReference(x, [3, 2, 5], axes),
    (_, dY) => ({ x: sumBackwardReference([3, 2, 5], axes, dY) }),
  );
});

it('sums by hand', () => {
  expect([...sumReference(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3], [0])]).toEqual([5, 7, 9]);
  expect([...sumReference(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3], [1])]).toEqual([6, 15]);
});
