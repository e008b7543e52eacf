import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import type { Conv3dOptions } from '../../../src/autograd/ops/conv3d-geometry.ts';
import { conv3dBackwardReference, conv3dReference } from '../../../src/autograd/ops/conv3d.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

interface FixtureCase {
  name: string;
  x: number[];
  weight: number[];
  bias: number[];
  dY: number[];
  xShape: number[];
  weightShape: number[];
  options: Conv3dOptions;
  y: number[];
  dX: number[];
  dWeight: number[];
  dBias: number[];
}

const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/ops/conv3d.json', import.meta.url), 'utf8')) as FixtureCase[];

const cases: { what: string; x: number[]; weight: number[]; options?: Conv3dOptions }[] = [
  { what: 'one voxel', x: [1, 1, 1, 1, 1], weight: [1, 1, 1, 1, 1] },
  { what: 'patchify', x: [2, 1, 4, 8, 12], weight: [17, 1, 2, 4, 4], options: { stride: [2, 4, 4] } },
  { what: 'patchify of many channels with a remainder', x: [1, 9, 7, 6, 11], weight: [33, 9, 5, 5, 5], options: { stride: 5 } },
  { what: 'stride 2 with padding', x: [3, 5, 7, 9, 11], weight: [12, 5, 3, 3, 3], options: { stride: 2, padding: 1 } },
  { what: 'odd extents', x: [1, 3, 3, 5, 65], weight: [7, 3, 3, 3, 3], options: { padding: 1 } },
  { what: 'dilation that shares a factor with the stride', x: [2, 4, 9, 8, 13], weight: [5, 4, 3, 2, 3], options: { stride: [2, 4, 3], dilation: [2, 2, 3], padding: [2, 1, 3] } },
  { what: 'three groups', x: [2, 15, 4, 5, 3], weight: [27, 5, 2, 3, 1], options: { groups: 3, padding: [1, 1, 0] } },
  { what: 'depthwise, causal', x: [2, 7, 5, 4, 9], weight: [7, 1, 3, 3, 3], options: { groups: 7, padding: [[2, 0], [1, 1], [1, 1]] } },
  { what: 'depthwise with two outputs a channel', x: [1, 3, 5, 5, 5], weight: [6, 1, 3, 3, 3], options: { groups: 3, stride: 2 } },
  {
    what: 'neighbouring taps, many channels with a remainder', x: [2, 13, 4, 5, 9], weight: [21, 13, 2, 3, 3],
    options: { stride: [2, 1, 1], dilation: [1, 2, 1], padding: [[1, 0], [2, 1], [0, 2]] },
  },
  { what: 'a stride longer than the kernel', x: [1, 4, 7, 7, 7], weight: [4, 4, 1, 2, 2], options: { stride: 3 } },
  { what: 'a kernel of 63 on 65', x: [1, 2, 1, 1, 65], weight: [4, 2, 1, 1, 63] },
  { what: 'several chunks of the weight gradient', x: [2, 2, 33, 20, 3], weight: [4, 2, 1, 3, 3], options: { padding: 1 } },
];

describe('conv3d', () => {
  for (const [plan, { what, x: xShape, weight: weightShape, options }] of cases.flatMap((each) => (['plain', 'wide', 'subgroup'] as const).map((plan) => [plan, each] as const))) {
    it(`${plan}: agrees with its reference: ${what}`, async () => {
      await expectOp({
        inputs: { x: input(xShape, 1), weight: input(weightShape, 2), bias: input([weightShape[0]!], 3) },
        run: ({ x, weight, bias }) => ops.conv3d(x, weight, bias, { ...options, plan }),
        reference: ({ x, weight, bias }) => conv3dReference(x, weight, bias, xShape, weightShape, options),
        backward: ({ x, weight }, dY) => conv3dBackwardReference(x, weight, dY, xShape, weightShape, options),
      });
    });
  }

  it('does without bias and without a gradient of x', async () => {
    const xShape = [2, 1, 4, 8, 8];
    const weightShape = [16, 1, 2, 4, 4];
    await expectOp({
      inputs: { x: input(xShape, 4, { constant: true }), weight: input(weightShape, 5) },
      run: ({ x, weight }) => ops.conv3d(x, weight, null, { stride: [2, 4, 4] }),
      reference: ({ x, weight }) => conv3dReference(x, weight, null, xShape, weightShape, { stride: [2, 4, 4] }),
      backward: ({ x, weight }, dY) => ({ weight: conv3dBackwardReference(x, weight, dY, xShape, weightShape, { stride: [2, 4, 4] }).weight }),
    });
  });

  for (const { name, options, xShape, weightShape, ...values } of fixtures) {
    it(`agrees with PyTorch: ${name}`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const x = engine.tensor(values.x, xShape, { requiresGrad: true });
        const weight = engine.tensor(values.weight, weightShape, { requiresGrad: true });
        const bias = engine.tensor(values.bias, [weightShape[0]!], { requiresGrad: true });
        const y = ops.conv3d(x, weight, bias, options);
        expectClose(await y.toArray(), values.y, 1e-5, 'forward');
        await y.backward(engine.tensor(values.dY, y.shape));
        expectClose(await x.grad!.toArray(), values.dX, 1e-4, 'gradient of x');
        expectClose(await weight.grad!.toArray(), values.dWeight, 1e-4, 'gradient of weight');
        expectClose(await bias.grad!.toArray(), values.dBias, 1e-4, 'gradient of bias');
        for (const leaf of [x, weight, bias]) leaf.zeroGrad();
      });
    });
  }

  it('names shapes and options that do not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const x = engine.zeros([1, 4, 3, 3, 3]);
      const weight = engine.zeros([6, 4, 3, 3, 3]);
      expect(() => ops.conv3d(engine.zeros([4, 3, 3, 3]), weight, null)).toThrow('conv3d: x must be [B, C, D, Y, X], got [4, 3, 3, 3]');
      expect(() => ops.conv3d(x, weight, null, { groups: 2 })).toThrow('conv3d: weight must be [6, 2, ...] for 4 channels in 2 groups, got [6, 4, 3, 3, 3]');
      expect(() => ops.conv3d(x, weight, null, { groups: 4 })).toThrow('conv3d: groups must divide the channels of x (4) and weight (6), got 4');
      expect(() => ops.conv3d(x, weight, engine.zeros([4]))).toThrow('conv3d: bias must be [6], got [4]');
      expect(() => ops.conv3d(x, weight, null, { dilation: 2 })).toThrow('does not fit into the padded input [3, 3, 3]');
      expect(() => ops.conv3d(x, weight, null, { stride: 0 })).toThrow('conv3d: stride must be an integer >= 1 or three of them, got 0');
      expect(() => ops.conv3d(x, weight, null, { padding: [[1, 0], [0, -1], [0, 0]] })).toThrow('conv3d: padding must be an integer >= 0');
    });
  });
});
