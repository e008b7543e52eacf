import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { avgPool3dBackwardReference, avgPool3dReference, type AvgPool3dOptions } from '../../../src/autograd/ops/avg-pool3d.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

interface FixtureCase {
  options: AvgPool3dOptions;
  shape: number[];
  x: number[];
  dY: number[];
  y: number[];
  dX: number[];
}

const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/ops/avg-pool3d.json', import.meta.url), 'utf8')) as FixtureCase[];

const cases: { shape: number[]; options: AvgPool3dOptions }[] = [
  { shape: [1, 1, 1, 1, 1], options: { kernel: 1 } },
  { shape: [2, 3, 4, 4, 4], options: { kernel: 2 } },
  { shape: [1, 5, 7, 9, 65], options: { kernel: [3, 2, 4] } },
  { shape: [3, 1, 5, 6, 63], options: { kernel: 3, stride: [1, 2, 2] } },
  { shape: [2, 2, 8, 7, 9], options: { kernel: [1, 2, 2], stride: 3 } },
];

describe('avgPool3d', () => {
  for (const { shape, options } of cases) {
    it(`agrees with its reference on [${shape}], ${JSON.stringify(options)}`, async () => {
      await expectOp({
        inputs: { x: input(shape, 1) },
        run: ({ x }) => ops.avgPool3d(x, options),
        reference: ({ x }) => avgPool3dReference(x, shape, options),
        backward: (_, dY) => ({ x: avgPool3dBackwardReference(dY, shape, options) }),
      });
    });
  }

  for (const { options, shape, ...values } of fixtures) {
    it(`agrees with PyTorch on [${shape}], ${JSON.stringify(options)}`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const x = engine.tensor(values.x, shape, { requiresGrad: true });
        const y = ops.avgPool3d(x, options);
        expectClose(await y.toArray(), values.y, 1e-5, 'forward');
        await y.backward(engine.tensor(values.dY, y.shape));
        expectClose(await x.grad!.toArray(), values.dX, 1e-4, 'gradient of x');
        x.zeroGrad();
      });
    });
  }

  it('names a kernel that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const x = engine.zeros([1, 1, 2, 4, 4]);
      expect(() => ops.avgPool3d(x, { kernel: 3 })).toThrow('avgPool3d: the kernel [3, 3, 3] does not fit into the input [2, 4, 4]');
      expect(() => ops.avgPool3d(x, { kernel: 2, stride: 0 })).toThrow('avgPool3d: stride must be a positive integer or three of them, got 0');
      expect(() => ops.avgPool3d(engine.zeros([2, 4, 4]), { kernel: 2 })).toThrow('avgPool3d: x must be [B, C, D, Y, X], got [2, 4, 4]');
    });
  });
});
