import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { clipScaleReference, gradientNormReference } from '../../../src/autograd/ops/gradient-norm.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

describe('gradientNorm', () => {
  for (const counts of [[1], [3, 63, 65], [8192, 8193, 1], [70_001, 5]]) {
    it(`is the norm of [${counts}] elements together`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const values = counts.map((count, index) => randomArray(count, index + 1));
        const norm = ops.gradientNorm(values.map((x) => engine.tensor(Float32Array.from(x))));
        expectClose(await norm.toArray(), [gradientNormReference(values)], 1e-6, 'norm');
      });
    });
  }

  it('gives the same bits every time', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const x = engine.tensor(Float32Array.from(randomArray(50_000, 9)));
      expect(await ops.gradientNorm([x]).item()).toBe(await ops.gradientNorm([x]).item());
    });
  });
});

describe('clipScale', () => {
  it('shortens long gradients and leaves short ones alone', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      for (const norm of [0, 0.5, 2, 1e6]) expectClose(await ops.clipScale(engine.tensor([norm]), 1).toArray(), [clipScaleReference(norm, 1)], 1e-6, `norm ${norm}`);
      expect(() => ops.clipScale(engine.zeros([1]), 0)).toThrow('clipScale: limit must be positive, got 0');
    });
  });
});
