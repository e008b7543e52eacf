import { it } from 'vitest';
import {
  scaledDotProductAttentionBackwardReference,
  scaledDotProductAttentionReference,
} from '../../../src/autograd/ops/scaled-dot-product-attention.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

const d = { batches: 2, heads: 2, queries: 3, keys: 4, headDim: 5 };

for (const biasShape of [[2, 2, 3, 4], [2, 1, 1, 4]]) {
  for (const causal of [false, true]) {
    it(`scaledDotProductAttention with bias [${biasShape}]${causal ? ', causal' : ''}: reference gradient agrees with central differences`, () => {
      const options = { biasShape, causal };
      expectReferenceGradient(
        { q: input([2, 2, 3, 5], 1), k: input([2, 2, 4, 5], 2), v: input([2, 2, 4, 5], 3), bias: input(biasShape, 4) },
        (values) => scaledDotProductAttentionReference(values, d, options),
        (values, dY) => scaledDotProductAttentionBackwardReference(values, dY, d, options),
      );
    });
  }
}
