import { it } from 'vitest';
import { layerNormBackwardReference, layerNormReference } from '../../../src/autograd/ops/layer-norm.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('layerNorm: reference gradient agrees with central differences', () => {
  expectReferenceGradient(
    { x: input([3, 5], 1), weight: input([5], 2), bias: input([5], 3) },
    ({ x, weight, bias }) => layerNormReference(x, weight, bias, 5),
    ({ x, weight }, dY) => layerNormBackwardReference(x, weight, dY, 5),
  );
});
