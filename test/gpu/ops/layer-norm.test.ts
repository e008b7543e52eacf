import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { layerNormBackwardReference, layerNormReference } from '../../../src/autograd/ops/layer-norm.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('layerNorm', () => {
  const cases = [[1, 1], [3, 65], [2, 5, 63], [300, 7], [4, 513], [5, 4], [300, 64]].flatMap((shape) => (['row', 'vectors', 'workgroup'] as const).map((plan) => ({ shape, plan })));
  for (const { shape, plan } of cases) {
    it(`agrees with its reference on [${shape}], plan ${plan}`, async () => {
      const columns = shape.at(-1)!;
      await expectOp({
        inputs: { x: input(shape, 1, { scale: 2, shift: 0.5 }), weight: input([columns], 2), bias: input([columns], 3) },
        run: ({ x, weight, bias }) => ops.layerNorm(x, weight, bias, { plan }),
        reference: ({ x, weight, bias }) => layerNormReference(x, weight, bias, columns),
        backward: ({ x, weight }, dY) => layerNormBackwardReference(x, weight, dY, columns),
      });
    });
  }

  it('does without weight and bias', async () => {
    await expectOp({
      inputs: { x: input([3, 9], 4) },
      run: ({ x }) => ops.layerNorm(x, null, null, { eps: 1e-3 }),
      reference: ({ x }) => layerNormReference(x, null, null, 9, 1e-3),
      backward: ({ x }, dY) => ({ x: layerNormBackwardReference(x, null, dY, 9, 1e-3).x }),
    });
  });

  it('keeps its precision when the mean is large', async () => {
    await expectOp({
      inputs: { x: input([2, 129], 5, { shift: 100 }) },
      run: ({ x }) => ops.layerNorm(x, null, null),
      reference: ({ x }) => layerNormReference(x, null, null, 129),
      tolerance: 1e-4, // f32 holds 100 + u to 8e-6; after division by a deviation of 0.6 that is 1e-5 a term
    });
  });

  // Made by test/reference/layer-norm.py.
  for (const [name, fixture] of Object.entries(readOpFixtures<{ eps: number }>('layer-norm'))) {
    for (const plan of ['row', 'workgroup'] as const) {
      it(`agrees with PyTorch: ${name}, plan ${plan}`, async () => {
        await expectFixture(fixture, ({ x, weight, bias }) => ops.layerNorm(x!, weight ?? null, bias ?? null, { eps: fixture.eps, plan }));
      });
    }
  }

  it('names a weight that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.layerNorm(engine.zeros([2, 768]), engine.zeros([512]), null)).toThrow('layerNorm: weight must be [768], got [512]');
    });
  });
});
