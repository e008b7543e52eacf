import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { geluDerivativeReference, geluReference } from '../../../src/autograd/ops/gelu.ts';
import { leakyReluDerivativeReference, leakyReluReference } from '../../../src/autograd/ops/leaky-relu.ts';
import { linearBackwardReference, linearReference } from '../../../src/autograd/ops/linear.ts';
import { subgroupMatrixKernel } from '../../../src/autograd/ops/matmul-kernels.ts';
import type { GemmActivation, GemmPlan } from '../../../src/autograd/ops/matmul.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const slope = 0.1;
/** Of f32 operands. */
const hasMatrixUnits = subgroupMatrixKernel((await testEngine()).device, 'f32') !== null;
const activations: Record<GemmActivation, { value: (x: number) => number; derivative: (x: number) => number }> = {
  none: { value: (x) => x, derivative: () => 1 },
  gelu: { value: geluReference, derivative: geluDerivativeReference },
  leakyRelu: { value: (x) => leakyReluReference(x, slope), derivative: (x) => leakyReluDerivativeReference(x, slope) },
};

describe('linear', () => {
  const shapes: { axes: number[]; from: number; to: number }[] = [
    { axes: [], from: 5, to: 3 },
    { axes: [1], from: 1, to: 1 },
    { axes: [65], from: 63, to: 3 },
    { axes: [2, 3], from: 8, to: 68 },
    { axes: [2], from: 1100, to: 4 },
  ];
  for (const { axes, from, to } of shapes) {
    it(`agrees with its reference on [${[...axes, from]}] -> ${to}`, async () => {
      await expectOp({
        inputs: { x: input([...axes, from], 1), weight: input([to, from], 2), bias: input([to], 3) },
        run: ({ x, weight, bias }) => ops.linear(x, weight, bias),
        reference: ({ x, weight, bias }) => linearReference(x, weight, bias, from),
        backward: ({ x, weight }, dY) => linearBackwardReference(x, weight, dY, from),
      });
    });
  }

  it('does without a bias', async () => {
    await expectOp({
      inputs: { x: input([4, 9], 4), weight: input([7, 9], 5) },
      run: ({ x, weight }) => ops.linear(x, weight, null),
      reference: ({ x, weight }) => linearReference(x, weight, null, 9),
      backward: ({ x, weight }, dY) => {
        const gradients = linearBackwardReference(x, weight, dY, 9);
        return { x: gradients.x, weight: gradients.weight };
      },
    });
  });

  // With a tape the activation is an op of its own, without one it is the product's epilogue: expectOp runs both.
  for (const plan of ['rows', 'subgroup', 'vec4', 'tiled', 'subgroup-matrix'] as GemmPlan[]) {
    for (const activation of ['gelu', 'leakyRelu'] as GemmActivation[]) {
      it.skipIf(plan === 'subgroup-matrix' && !hasMatrixUnits)(`applies ${activation}, plan ${plan}`, async () => {
        const { value, derivative } = activations[activation];
        await expectOp({
          inputs: { x: input([11, 12], 6), weight: input([20, 12], 7), bias: input([20], 8) },
          run: ({ x, weight, bias }) => ops.linear(x, weight, bias, { activation, slope, plan }),
          reference: ({ x, weight, bias }) => linearReference(x, weight, bias, 12).map(value),
          backward: ({ x, weight, bias }, dY) => {
            const before = linearReference(x, weight, bias, 12);
            return linearBackwardReference(x, weight, dY.map((g, i) => g * derivative(before[i]!)), 12);
          },
        });
      });
    }
  }

  it('names operands that do not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.linear(engine.zeros([2, 5]), engine.zeros([5, 3]), null)).toThrow('linear: weight must be [*, 5], got [5, 3]');
      expect(() => ops.linear(engine.zeros([2, 5]), engine.zeros([3, 5]), engine.zeros([5]))).toThrow('linear: bias must be [3], got [5]');
      expect(() => ops.linear(engine.zeros([]), engine.zeros([3, 5]), null)).toThrow('linear: x takes at least one axis, got []');
    });
  });
});
