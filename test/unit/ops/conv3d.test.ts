import { expect, it } from 'vitest';
import type { Conv3dOptions } from '../../../src/autograd/ops/conv3d-geometry.ts';
import { conv3dBackwardReference, conv3dReference } from '../../../src/autograd/ops/conv3d.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('conv3d: reference gradient agrees with central differences', () => {
  const xShape = [2, 4, 3, 4, 5];
  const weightShape = [6, 2, 2, 3, 2];
  const options: Conv3dOptions = { stride: [1, 2, 2], padding: [[1, 0], [1, 1], [0, 2]], dilation: [1, 1, 2], groups: 2 };
  expectReferenceGradient(
    { x: input(xShape, 1), weight: input(weightShape, 2), bias: input([6], 3) },
    ({ x, weight, bias }) => conv3dReference(x, weight, bias, xShape, weightShape, options),
    ({ x, weight }, dY) => conv3dBackwardReference(x, weight, dY, xShape, weightShape, options),
  );
});

it('conv3d: the reference is a cross-correlation', () => {
  const y = conv3dReference(Float64Array.of(1, 2, 3), Float64Array.of(10, 1), Float64Array.of(0.5), [1, 1, 1, 1, 3], [1, 1, 1, 1, 2]);
  expect([...y]).toEqual([12.5, 23.5]);
});
