import { expect, it } from 'vitest';
import { inverseOrder, permuteReference } from '../../../src/autograd/ops/permute.ts';
import { mergeAxes } from '../../../src/autograd/ops/strided-copy.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('permute: reference gradient agrees with central differences', () => {
  const axes = [2, 0, 1];
  expectReferenceGradient(
    { x: input([2, 3, 5], 1) },
    ({ x }) => permuteReference(x, [2, 3, 5], axes),
    (_, dY) => ({ x: permuteReference(dY, [5, 2, 3], inverseOrder(axes)) }),
  );
});

it('transposes by hand', () => {
  expect([...permuteReference(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3], [1, 0])]).toEqual([1, 4, 2, 5, 3, 6]);
});

it('merges axes that every operand walks as one', () => {
  expect(mergeAxes([2, 3, 5], [[15, 5, 1]])).toEqual({ extents: [30], strides: [[1]] });
  expect(mergeAxes([2, 3, 5], [[15, 5, 1], [0, 0, 1]])).toEqual({ extents: [5, 6], strides: [[1, 5], [1, 0]] });
  expect(mergeAxes([4, 1, 5], [[1, 9, 4]])).toEqual({ extents: [5, 4], strides: [[4, 1]] });
  expect(mergeAxes([1, 1], [[7, 7]])).toEqual({ extents: [1], strides: [[0]] });
});
