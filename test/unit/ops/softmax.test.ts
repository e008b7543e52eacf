import { it } from 'vitest';
import { softmaxBackwardReference, softmaxReference } from '../../../src/autograd/ops/softmax.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

for (const dim of [0, 1, -1]) {
  it(`softmax along ${dim}: reference gradient agrees with central differences`, () => {
    expectReferenceGradient(
      { x: input([3, 5, 2], 1, { scale: 2 }) },
      ({ x }) => softmaxReference(x, [3, 5, 2], dim),
      ({ x }, dY) => ({ x: softmaxBackwardReference(x, dY, [3, 5, 2], dim) }),
    );
  });
}
