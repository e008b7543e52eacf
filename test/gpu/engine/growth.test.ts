import { expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { openTestEngine } from '../../support/engine.ts';

it('200 training steps leave no buffer behind', async () => {
  const engine = await openTestEngine();
  try {
    const weight = engine.full([65], 1, { requiresGrad: true });
    const bias = engine.zeros([65], { requiresGrad: true });
    const batch = new Float32Array(7 * 65).map((_, i) => Math.sin(i));
    const step = (): Promise<number> =>
      engine.scope(async () => {
        let y = engine.tensor(batch, [7, 65]);
        for (let layer = 0; layer < 3; layer++) y = ops.layerNorm(y, weight, bias);
        await y.backward(engine.full([7, 65], 1));
        const [gradient] = await bias.grad!.toArray();
        weight.zeroGrad();
        bias.zeroGrad();
        return gradient!;
      });
    const first = await step();
    for (let i = 0; i < 9; i++) await step();
    const { liveBuffers, liveBytes, freeBytes, peakBytes } = engine.memory;
    for (let i = 0; i < 190; i++) expect(await step()).toBe(first);
    expect(engine.memory).toEqual({ liveBuffers, liveBytes, freeBytes, peakBytes });
    expect(liveBuffers).toBe(2);
  } finally {
    engine.destroy();
  }
});
