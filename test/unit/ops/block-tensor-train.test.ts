import { expect, it } from 'vitest';
import { blockTensorTrainBackwardReference, blockTensorTrainReference } from '../../../src/autograd/ops/block-tensor-train.ts';
import { randomArray } from '../../support/arrays.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('blockTensorTrain: reference gradient agrees with central differences, three cores', () => {
  const factors = { inFactors: [2, 2, 3], outFactors: [2, 3, 2] };
  const shapes = [[4, 3, 4], [4, 4, 3], [6, 2, 2]];
  expectReferenceGradient(
    { x: input([2, 12], 1), w0: input(shapes[0]!, 2), w1: input(shapes[1]!, 3), w2: input(shapes[2]!, 4) },
    ({ x, w0, w1, w2 }) => blockTensorTrainReference(x, [w0, w1, w2], shapes, factors),
    ({ x, w0, w1, w2 }, dY) => {
      const gradients = blockTensorTrainBackwardReference(x, [w0, w1, w2], shapes, dY, factors);
      return { x: gradients.x, w0: gradients.cores[0], w1: gradients.cores[1], w2: gradients.cores[2] };
    },
  );
});

it('blockTensorTrain: a plain tensor train is a block one whose cores repeat', () => {
  const factors = { inFactors: [2, 3], outFactors: [2, 2] };
  const x = randomArray(6, 1);
  const [w0, w1] = [randomArray(3 * 4, 2), randomArray(4 * 2, 3)];
  const plain = blockTensorTrainReference(x, [w0, w1], [[3, 4], [4, 2]], factors);
  const repeated = blockTensorTrainReference(x, [Float64Array.from([...w0, ...w0]), Float64Array.from([...w1, ...w1])], [[2, 3, 4], [2, 4, 2]], factors);
  expect(plain).toEqual(repeated);
});
