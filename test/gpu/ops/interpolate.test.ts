import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { interpolateBackwardReference, interpolateReference } from '../../../src/autograd/ops/interpolate.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

type Size = [number, number, number];

interface FixtureCase {
  size: Size;
  shape: number[];
  x: number[];
  dY: number[];
  y: number[];
  dX: number[];
}

const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/ops/interpolate.json', import.meta.url), 'utf8')) as FixtureCase[];

const cases: { shape: number[]; size: Size }[] = [
  { shape: [1, 1, 1, 1, 1], size: [3, 1, 5] },
  { shape: [2, 3, 4, 5, 6], size: [4, 5, 6] },
  { shape: [1, 2, 3, 5, 63], size: [7, 4, 65] },
  { shape: [2, 1, 9, 8, 65], size: [2, 3, 1] },
  { shape: [1, 3, 2, 3, 4], size: [8, 12, 16] },
  { shape: [1, 1, 63, 3, 2], size: [10, 10, 63] },
];

describe('interpolate', () => {
  for (const { shape, size } of cases) {
    it(`agrees with its reference from [${shape}] to [${size}]`, async () => {
      await expectOp({
        inputs: { x: input(shape, 1) },
        run: ({ x }) => ops.interpolate(x, { size }),
        reference: ({ x }) => interpolateReference(x, shape, size),
        backward: (_, dY) => ({ x: interpolateBackwardReference(dY, shape, size) }),
      });
    });
  }

  for (const { size, shape, ...values } of fixtures) {
    it(`agrees with PyTorch from [${shape}] to [${size}]`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const x = engine.tensor(values.x, shape, { requiresGrad: true });
        const y = ops.interpolate(x, { size });
        expectClose(await y.toArray(), values.y, 1e-5, 'forward');
        await y.backward(engine.tensor(values.dY, y.shape));
        expectClose(await x.grad!.toArray(), values.dX, 1e-4, 'gradient of x');
        x.zeroGrad();
      });
    });
  }

  it('names a size that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.interpolate(engine.zeros([1, 1, 2, 2, 2]), { size: [0, 2, 2] })).toThrow('interpolate: size must be three integers from 1 to 32767, got [0, 2, 2]');
      expect(() => ops.interpolate(engine.zeros([2, 2, 2]), { size: [2, 2, 2] })).toThrow('interpolate: x must be [B, C, D, Y, X], got [2, 2, 2]');
    });
  });
});
