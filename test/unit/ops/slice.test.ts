import { expect, it } from 'vitest';
import { sliceBackwardReference, sliceReference } from '../../../src/autograd/ops/slice.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('slice: reference gradient agrees with central differences', () => {
  expectReferenceGradient(
    { x: input([2, 5, 3], 1) },
    ({ x }) => sliceReference(x, [2, 5, 3], 1, 1, 4),
    (_, dY) => ({ x: sliceBackwardReference([2, 5, 3], 1, 1, 4, dY) }),
  );
});

it('slices by hand', () => {
  expect([...sliceReference(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3], 1, 1, 3)]).toEqual([2, 3, 5, 6]);
});
