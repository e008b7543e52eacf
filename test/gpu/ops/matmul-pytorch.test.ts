import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ops, type Tensor } from '../../../src/autograd/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

interface Fixture {
  inputs: Record<string, { shape: number[]; values: number[] }>;
  y: { shape: number[]; values: number[] };
  dY: number[];
  gradients: Record<string, number[]>;
}

// Made by test/reference/matmul.py with PyTorch.
const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/ops/matmul.json', import.meta.url), 'utf8')) as Record<string, Fixture>;

const runs: Record<string, (inputs: Record<string, Tensor>) => Tensor> = {
  matmul: ({ a, b }) => ops.matmul(a!, b!),
  linear: ({ x, weight, bias }) => ops.linear(x!, weight!, bias!),
  linearGelu: ({ x, weight, bias }) => ops.linear(x!, weight!, bias!, { activation: 'gelu' }),
  blockTensorTrain: ({ x, w0, w1 }) => ops.blockTensorTrain(x!, [w0!, w1!], { inFactors: [3, 4], outFactors: [2, 5] }),
};

for (const [name, run] of Object.entries(runs)) {
  it(`${name} agrees with PyTorch`, async () => {
    const engine = await testEngine();
    const { inputs, y, dY, gradients } = fixtures[name]!;
    await engine.scope(async () => {
      const tensors = Object.fromEntries(Object.entries(inputs).map(([key, { shape, values }]) => [key, engine.tensor(values, shape, { requiresGrad: true })]));
      const output = run(tensors);
      expect(output.shape).toEqual(y.shape);
      expectClose(await output.toArray(), y.values, 1e-5, 'y');
      await output.backward(engine.tensor(dY, y.shape));
      for (const [key, expected] of Object.entries(gradients)) expectClose(await tensors[key]!.grad!.toArray(), expected, 1e-5, `gradient of ${key}`);
      for (const tensor of Object.values(tensors)) tensor.zeroGrad();
    });
  });
}
