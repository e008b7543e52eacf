import { it } from 'vitest';
import { matmulBackwardReference, matmulReference } from '../../../src/autograd/ops/matmul.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

for (const [transposeA, transposeB, sharedB] of [[false, false, false], [true, false, true], [false, true, false], [true, true, true]]) {
  it(`matmul: reference gradient agrees with central differences (transposeA ${transposeA}, transposeB ${transposeB}, sharedB ${sharedB})`, () => {
    const extents = { batch: 2, m: 3, n: 2, k: 4, transposeA, transposeB, sharedB };
    expectReferenceGradient(
      { a: input([2, 3, 4], 1), b: input(sharedB ? [4, 2] : [2, 4, 2], 2) },
      ({ a, b }) => matmulReference(a, b, extents),
      ({ a, b }, dY) => matmulBackwardReference(a, b, dY, extents),
    );
  });
}
