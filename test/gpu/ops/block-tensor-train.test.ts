import { describe, expect, it } from 'vitest';
import { ops, type Tensor } from '../../../src/autograd/index.ts';
import { blockTensorTrainBackwardReference, blockTensorTrainReference } from '../../../src/autograd/ops/block-tensor-train.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input, type OpInputs } from '../../support/op-test.ts';

interface Case {
  name: string;
  axes: number[];
  inFactors: number[];
  outFactors: number[];
  cores: number[][];
}

const cases: Case[] = [
  { name: 'all ones', axes: [1], inFactors: [1, 1], outFactors: [1, 1], cores: [[1, 1, 1], [1, 1, 1]] },
  { name: 'two cores', axes: [3], inFactors: [3, 5], outFactors: [2, 7], cores: [[3, 5, 2 * 4], [2, 3 * 4, 7]] },
  { name: 'two cores, no leading axis', axes: [], inFactors: [4, 2], outFactors: [3, 2], cores: [[4, 2, 3], [3, 4, 2]] },
  { name: 'two cores, more axes', axes: [2, 65], inFactors: [2, 4], outFactors: [4, 4], cores: [[2, 4, 4 * 2], [4, 2 * 2, 4]] },
  { name: 'three cores', axes: [3], inFactors: [2, 3, 4], outFactors: [3, 2, 5], cores: [[6, 4, 3 * 2], [3 * 2, 3 * 2, 2 * 3], [6, 2 * 3, 5]] },
  { name: 'four cores', axes: [5], inFactors: [2, 3, 2, 3], outFactors: [2, 1, 3, 2], cores: [[12, 3, 2 * 2], [2 * 6, 2 * 2, 3], [2 * 2, 3 * 3, 3 * 2], [6, 2 * 2, 2]] },
  { name: 'plain tensor train', axes: [63], inFactors: [2, 3, 4], outFactors: [3, 2, 5], cores: [[4, 3 * 2], [3 * 2, 2 * 3], [2 * 3, 5]] },
];

describe('blockTensorTrain', () => {
  for (const { name, axes, inFactors, outFactors, cores } of cases) {
    it(`agrees with its reference: ${name}`, async () => {
      const factors = { inFactors, outFactors };
      const inputs: OpInputs = { x: input([...axes, inFactors.reduce((a, b) => a * b)], 1) };
      cores.forEach((shape, index) => (inputs[`core${index}`] = input(shape, 2 + index)));
      const coresOf = <T>(values: Record<string, T>): T[] => cores.map((_, index) => values[`core${index}`]!);
      await expectOp({
        inputs,
        run: (tensors: Record<string, Tensor>) => ops.blockTensorTrain(tensors.x!, coresOf(tensors), factors),
        reference: (values) => blockTensorTrainReference(values.x!, coresOf(values), cores, factors),
        backward: (values, dY) => {
          const gradients = blockTensorTrainBackwardReference(values.x!, coresOf(values), cores, dY, factors);
          return { x: gradients.x, ...Object.fromEntries(gradients.cores.map((gradient, index) => [`core${index}`, gradient])) };
        },
      });
    });
  }

  it('names cores and factors that do not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const zeros = (...shape: number[]) => engine.zeros(shape);
      const factors = { inFactors: [3, 5], outFactors: [2, 7] };
      expect(() => ops.blockTensorTrain(zeros(4, 15), [zeros(3, 5, 9), zeros(2, 12, 7)], factors)).toThrow('blockTensorTrain: core 0 must be [3, 5, 2·r] or, for a plain tensor train, [5, 2·r], got [3, 5, 9]');
      expect(() => ops.blockTensorTrain(zeros(4, 15), [zeros(3, 5, 8), zeros(2, 9, 7)], factors)).toThrow('core 1 must be [2, 12, 7]');
      expect(() => ops.blockTensorTrain(zeros(4, 14), [zeros(3, 5, 8), zeros(2, 12, 7)], factors)).toThrow('blockTensorTrain: x must end in 15 (3·5), got [4, 14]');
      expect(() => ops.blockTensorTrain(zeros(4, 15), [zeros(3, 5, 8)], factors)).toThrow('takes at least two cores, got 1');
      expect(() => ops.blockTensorTrain(zeros(4, 15), [zeros(3, 5, 8), zeros(2, 12, 7)], { ...factors, inFactors: [15] })).toThrow('2 cores take 2 input and output factors');
    });
  });
});
