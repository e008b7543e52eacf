import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { softmaxBackwardReference, softmaxReference } from '../../../src/autograd/ops/softmax.ts';
import { expectClose, product } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const cases: [shape: number[], dim: number][] = [
  [[1], 0],
  [[3, 1], -1],
  [[5, 63], -1],
  [[300, 7], 1],
  [[3, 65], 1],
  [[2, 513], -1],
  [[65, 3], 0],
  [[2, 63, 5], 1],
  [[2, 3, 130, 3], 2],
];

describe('softmax', () => {
  for (const [shape, dim] of cases) {
    it(`agrees with its reference on [${shape}] along ${dim}`, async () => {
      await expectOp({
        inputs: { x: input(shape, 1, { scale: 5 }) },
        run: ({ x }) => ops.softmax(x, { dim }),
        reference: ({ x }) => softmaxReference(x, shape, dim),
        backward: ({ x }, dY) => ({ x: softmaxBackwardReference(x, dY, shape, dim) }),
      });
    });
  }

  for (const length of [5, 129]) {
    it(`stays finite with huge and masked logits over ${length}`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const values = new Float32Array(3 * length).fill(-1e9);
        values[1] = 1e30;
        values.fill(-Infinity, length, 2 * length);
        const y = await ops.softmax(engine.tensor(values, [3, length])).toArray();
        expect(y[0]).toBe(0);
        expect(y[1]).toBe(1);
        for (let i = length; i < 3 * length; i++) expect(y[i]).toBeCloseTo(1 / length, 6);
      });
    });
  }

  const fixtures = JSON.parse(readFileSync(new URL('../../fixtures/ops/softmax.json', import.meta.url), 'utf8')) as { shape: number[]; dim: number; y: number[]; dx: number[] }[];
  for (const { shape, dim, y: expectedY, dx } of fixtures) {
    it(`agrees with PyTorch on [${shape}] along ${dim}`, async () => {
      const engine = await testEngine();
      const wave = (phase: number) => Float32Array.from({ length: product(shape) }, (_, i) => 3 * Math.sin(i * 1.7 + phase));
      await engine.scope(async () => {
        const x = engine.tensor(wave(0), shape, { requiresGrad: true });
        const y = ops.softmax(x, { dim });
        expectClose(await y.toArray(), expectedY, 1e-5, 'forward');
        await y.backward(engine.tensor(wave(1), shape));
        expectClose(await x.grad!.toArray(), dx, 1e-4, 'gradient');
        x.zeroGrad();
      });
    });
  }

  it('names an axis that is not there', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.softmax(engine.zeros([2, 3]), { dim: 2 })).toThrow('softmax: axis 2 is outside a tensor of rank 2');
    });
  });
});
