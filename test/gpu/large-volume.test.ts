import { expect, it } from 'vitest';
import { ops } from '../../src/autograd/index.ts';
import { expectClose, randomArray } from '../support/arrays.ts';
import { openTestEngine } from '../support/engine.ts';

it('conv3d of a volume above the default limit of 128 MiB', async () => {
  const engine = await openTestEngine({ bindingLimit: 2 ** 27 });
  const [shape, kernel, stride] = [[130, 512, 520], [3, 4, 4], [2, 4, 4]] as const;
  const [depth, lines, columns] = [64, 128, 130]; // of the result
  const x = Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, (_, i) => ((Math.imul(i, 2654435761) >>> 8) % 2001) / 1000 - 1);
  const [w, dY] = [randomArray(48, 1), randomArray(depth * lines * columns, 2)];
  const [y, dW] = [new Float64Array(dY.length), new Float64Array(48)];
  for (let o = 0; o < y.length; o++) {
    const [d, h, c] = [Math.floor(o / (lines * columns)), Math.floor(o / columns) % lines, o % columns];
    for (let tap = 0; tap < 48; tap++) {
      const value = x[((d * 2 + Math.floor(tap / 16)) * shape[1] + h * 4 + (Math.floor(tap / 4) % 4)) * shape[2] + c * 4 + (tap % 4)]!;
      y[o]! += w[tap]! * value;
      dW[tap]! += dY[o]! * value;
    }
  }
  await engine.scope(async () => {
    const tensors = [engine.tensor(x, [1, 1, ...shape]), engine.tensor(Float32Array.from(w), [1, 1, ...kernel], { requiresGrad: true })] as const;
    expect(tensors[0].bytes).toBeGreaterThan(engine.device.bindingLimit);
    const got = ops.conv3d(...tensors, null, { stride });
    expectClose(await got.toArray(), y, 1e-5, 'forward');
    await got.backward(engine.tensor(Float32Array.from(dY), got.shape));
    expectClose(await tensors[1].grad!.toArray(), dW, 1e-4, 'gradient of weight');
    tensors[1].zeroGrad();
  });
  engine.destroy();
});
