import { describe, it } from 'vitest';
import { tokenSum } from '../../../src/autograd/ops/token-sums.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

// FAST's ops test the sums as they use them: here both plans, of which an adapter takes one.
describe.each(['row', 'workgroup'] as const)('tokenSum, plan %s', (plan) => {
  const [batches, tokens] = [2, 33];
  const terms = {
    squaredDeviation: (x: number, _z: number, a: number) => (x - a) ** 2,
    magnitude: (x: number) => Math.abs(x),
    squaredDifference: (x: number, z: number) => (x - z) ** 2,
    square: (x: number) => x ** 2,
    maskedDifference: (x: number, z: number, a: number) => a * (x - z) ** 2,
  };
  it.each((Object.keys(terms) as (keyof typeof terms)[]).flatMap((kind) => [1, 3, 65].map((channels) => ({ kind, channels }))))('adds up $kind over $channels channels', async ({ kind, channels }) => {
    const engine = await testEngine();
    const [x, z] = [randomArray(batches * tokens * channels, 1), randomArray(batches * tokens * channels, 2)];
    const [a, w] = [randomArray(batches * channels, 3), randomArray(batches * tokens, 4)];
    const expected = Float64Array.from({ length: batches * tokens }, (_, row) => {
      const batch = Math.floor(row / tokens);
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += terms[kind](x[row * channels + c]!, z[row * channels + c]!, a[batch * channels + c]!);
      return 0.5 * sum * (kind === 'maskedDifference' ? w[row]! : 1);
    });
    await engine.scope(async () => {
      const tensor = (values: Float64Array, shape: number[]) => engine.tensor(Float32Array.from(values), shape);
      const shape = [batches, tokens, channels];
      const sums = tokenSum(tensor(x, shape), kind, { scale: 0.5, plan, z: tensor(z, shape), a: tensor(a, [batches, channels]), w: tensor(w, [batches, tokens]) });
      expectClose(await sums.toArray(), expected, 1e-5);
    });
  });
});
