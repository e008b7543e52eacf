import { it } from 'vitest';
import { embeddingBackwardReference, embeddingReference } from '../../../src/autograd/ops/embedding.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('embedding: reference gradient agrees with central differences', () => {
  const ids = Uint32Array.of(2, 0, 2, 3);
  expectReferenceGradient(
    { weight: input([5, 3], 1) },
    ({ weight }) => embeddingReference(weight, ids, 3),
    ({ weight }, dY) => ({ weight: embeddingBackwardReference(weight, ids, dY, 3) }),
  );
});
