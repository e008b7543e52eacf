import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import {
  scaledDotProductAttentionBackwardReference,
  scaledDotProductAttentionReference,
  type AttentionDimensions,
} from '../../../src/autograd/ops/scaled-dot-product-attention.ts';
import { expectClose, product } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';
import { expectOp, input, type OpInput } from '../../support/op-test.ts';

interface Case {
  /** [B, H, Tq, Tk, D] */
  size: [number, number, number, number, number];
  bias?: number[];
  causal?: boolean;
  scale?: number;
}

const cases: Case[] = [
  { size: [1, 1, 1, 1, 1] },
  { size: [2, 3, 1, 5, 5] },
  { size: [2, 2, 63, 65, 16] },
  { size: [1, 2, 65, 63, 24], scale: 0.7 },
  { size: [1, 1, 130, 3, 65] },
  { size: [1, 2, 33, 70, 128] },
  { size: [70, 3, 4, 4, 16] },
  { size: [7, 2, 24, 24, 64], causal: true },
  { size: [2, 1, 65, 65, 32], causal: true },
  { size: [1, 2, 5, 70, 17], causal: true },
  { size: [1, 2, 70, 5, 32], causal: true },
  { size: [2, 3, 9, 11, 24], bias: [2, 3, 9, 11] },
  { size: [2, 3, 65, 7, 32], bias: [1, 3, 65, 7] },
  { size: [2, 2, 7, 65, 16], bias: [2, 1, 1, 65] },
  { size: [2, 2, 40, 40, 8], bias: [40, 40], causal: true },
  { size: [2, 2, 3, 5, 8], bias: [2, 2, 3, 1] },
  // More queries than `products` takes at once
  { size: [2, 2, 257, 65, 8], bias: [2, 1, 257, 65], causal: true },
  { size: [1, 3, 130, 300, 12], bias: [3, 130, 1] },
  { size: [1, 9, 130, 4099, 4] }, // … and more heads: 16 MiB are the scores of eight of them
];

describe('scaledDotProductAttention', () => {
  for (const [plan, { size, bias, causal, scale }] of cases.flatMap((each) => (['registers', 'products', 'tile'] as const).map((plan) => [plan, each] as const))) {
    it(`${plan}: agrees with its reference on [${size}]${bias ? ` with bias [${bias}]` : ''}${causal ? ', causal' : ''}`, async () => {
      const [batches, heads, queries, keys, headDim] = size;
      const d: AttentionDimensions = { batches, heads, queries, keys, headDim };
      const shiftsRows = bias?.at(-1) === 1 && keys > 1; // such a bias has the gradient 0, and a relative error of 0 means nothing
      const options = { causal, scale, biasShape: bias && [...new Array<number>(4 - bias.length).fill(1), ...bias] };
      const inputs: Record<'q' | 'k' | 'v', OpInput> & { bias?: OpInput } = {
        q: input([batches, heads, queries, headDim], 1, { scale: 3 }),
        k: input([batches, heads, keys, headDim], 2, { scale: 2 }),
        v: input([batches, heads, keys, headDim], 3),
        ...(bias ? { bias: input(bias, 4, { scale: 2, constant: shiftsRows }) } : {}),
      };
      await expectOp({
        inputs: inputs as Record<'q' | 'k' | 'v' | 'bias', OpInput>,
        run: ({ q, k, v, bias }) => ops.scaledDotProductAttention(q, k, v, { bias, causal, scale, plan }),
        reference: (values) => scaledDotProductAttentionReference(values, d, options),
        backward: (values, dY) => {
          const gradients = scaledDotProductAttentionBackwardReference(values, dY, d, options);
          if (shiftsRows) delete gradients.bias;
          return gradients;
        },
      });
    });
  }

  for (const mask of [-1e9, -Infinity]) {
    it(`masks with ${mask}, whole rows too, without NaN`, async () => {
      const engine = await testEngine();
      const d: AttentionDimensions = { batches: 1, heads: 1, queries: 3, keys: 9, headDim: 4 };
      const [q, k, v] = [input([1, 1, 3, 4], 1), input([1, 1, 9, 4], 2), input([1, 1, 9, 4], 3)];
      const values = new Float32Array(27).map((_, i) => (i < 9 ? (i < 5 ? mask : 0) : i < 18 ? mask : 0));
      // Where every score is the mask, the scores themselves are lost beside it: the weights are equal.
      const same = Float64Array.from(values, (value, i) => (i < 9 && value < 0 ? -1e9 : 0));
      const operands = { q: Float64Array.from(q.values, (x, i) => (i >= 4 && i < 8 ? 0 : x)), k: k.values, v: v.values, bias: same };
      const options = { biasShape: [1, 1, 3, 9] };
      await engine.scope(async () => {
        const tensors = [q, k, v].map(({ values, shape }) => engine.tensor(Float32Array.from(values), shape, { requiresGrad: true }));
        const y = ops.scaledDotProductAttention(tensors[0]!, tensors[1]!, tensors[2]!, { bias: engine.tensor(values, [3, 9]) });
        expectClose(await y.toArray(), scaledDotProductAttentionReference(operands, d, options), 1e-5, 'forward');
        await y.backward(engine.full(y.shape, 1));
        const gradients = scaledDotProductAttentionBackwardReference(operands, new Float64Array(12).fill(1), d, options);
        expectClose(await tensors[2]!.grad!.toArray(), gradients.v, 1e-4, 'gradient of v');
        for (const tensor of tensors) {
          for (const value of await tensor.grad!.toArray()) expect(Number.isFinite(value)).toBe(true);
          tensor.zeroGrad();
        }
      });
    });
  }

  it('agrees with its reference in the unrolled form that GPUs run', async () => {
    const engine = await openTestEngine();
    Object.defineProperty(engine.device, 'isSoftware', { value: false });
    const d: AttentionDimensions = { batches: 1, heads: 2, queries: 5, keys: 35, headDim: 9 };
    const [q, k, v] = [input([1, 2, 5, 9], 1), input([1, 2, 35, 9], 2), input([1, 2, 35, 9], 3)];
    const operands = { q: q.values, k: k.values, v: v.values };
    await engine.scope(async () => {
      const tensors = [q, k, v].map(({ values, shape }) => engine.tensor(Float32Array.from(values), shape, { requiresGrad: true }));
      const y = ops.scaledDotProductAttention(tensors[0]!, tensors[1]!, tensors[2]!);
      expectClose(await y.toArray(), scaledDotProductAttentionReference(operands, d), 1e-5, 'forward');
      await y.backward(engine.full(y.shape, 1));
      const gradients = scaledDotProductAttentionBackwardReference(operands, new Float64Array(y.size).fill(1), d);
      for (const [i, gradient] of [gradients.q, gradients.k, gradients.v].entries()) expectClose(await tensors[i]!.grad!.toArray(), gradient, 1e-4, `gradient ${i}`);
    });
    engine.destroy();
  });

  const { stride, cases: fixtures } = JSON.parse(readFileSync(new URL('../../fixtures/ops/scaled-dot-product-attention.json', import.meta.url), 'utf8')) as {
    stride: number;
    cases: (Case & { y: number[]; gradients: Record<string, number[]> })[];
  };
  for (const { size, bias, causal, scale, y: expectedY, gradients } of fixtures) {
    it(`agrees with PyTorch on [${size}]`, async () => {
      const engine = await testEngine();
      const [batches, heads, queries, keys, headDim] = size;
      const shapes: Record<string, number[]> = { q: [batches, heads, queries, headDim], k: [batches, heads, keys, headDim], v: [batches, heads, keys, headDim], ...(bias ? { bias } : {}) };
      await engine.scope(async () => {
        const leaves = Object.fromEntries(Object.entries(shapes).map(([name, shape], phase) => [name, engine.tensor(wave(product(shape), phase), shape, { requiresGrad: true })]));
        const y = ops.scaledDotProductAttention(leaves.q!, leaves.k!, leaves.v!, { bias: leaves.bias, causal, scale });
        expectClose(everyNth(await y.toArray()), expectedY, 1e-5, 'forward');
        await y.backward(engine.tensor(wave(y.size, 4), y.shape));
        for (const [name, leaf] of Object.entries(leaves)) {
          expectClose(everyNth(await leaf.grad!.toArray()), gradients[name]!, 1e-4, `gradient of ${name}`);
          leaf.zeroGrad();
        }
      });
    });
  }

  function wave(length: number, phase: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7 + phase));
  }

  function everyNth(values: ArrayLike<number>): number[] {
    return Array.from(values).filter((_, i) => i % stride === 0);
  }

  for (const plan of ['registers', 'products', 'tile'] as const) {
    it(`${plan}: takes memory in proportion to the length of the sequences, forward and backward`, async () => {
      const engine = await openTestEngine();
      const peakOf = async (tokens: number): Promise<number> => {
        await engine.scope(async () => {
          const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(Float32Array.from(input([1, 1, tokens, 4], seed).values), [1, 1, tokens, 4], { requiresGrad: true }));
          engine.device.pool.resetPeak();
          const y = ops.scaledDotProductAttention(q!, k!, v!, { plan });
          await y.backward(engine.full(y.shape, 1));
        });
        return engine.memory.peakBytes;
      };
      const [short, long] = [await peakOf(512), await peakOf(2048)];
      expect(long / short).toBeLessThan(4.5);
      expect(long).toBeLessThan(4 * 2048 * 2048); // one T × T matrix
      engine.destroy();
    });
  }

  it('gives only the gradients that are asked for', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(Float32Array.from(input([1, 1, 5, 8], seed).values), [1, 1, 5, 8]));
      const bias = engine.zeros([1, 1, 5, 5], { requiresGrad: true });
      await ops.scaledDotProductAttention(q!, k!, v!, { bias }).backward(engine.full([1, 1, 5, 8], 1));
      expect(bias.grad!.shape).toEqual([1, 1, 5, 5]);
      expect(q!.grad ?? k!.grad ?? v!.grad).toBeNull();
      bias.zeroGrad();
    });
  });

  it('names operands that do not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const q = engine.zeros([2, 4, 5, 16]);
      expect(() => ops.scaledDotProductAttention(engine.zeros([5, 16]), q, q)).toThrow('scaledDotProductAttention: q must be [*, *, *, *], got [5, 16]');
      expect(() => ops.scaledDotProductAttention(q, engine.zeros([2, 4, 5, 8]), q)).toThrow('k must be [2, 4, *, 16], got [2, 4, 5, 8]');
      expect(() => ops.scaledDotProductAttention(q, q, engine.zeros([2, 4, 6, 16]))).toThrow('v must be [2, 4, 5, 16], got [2, 4, 6, 16]');
      expect(() => ops.scaledDotProductAttention(q, q, q, { bias: engine.zeros([2, 5]) })).toThrow('bias must broadcast to [2, 4, 5, 5], got [2, 5]');
      const wide = engine.zeros([1, 1, 1, 129]);
      expect(() => ops.scaledDotProductAttention(wide, wide, wide)).toThrow('the head dimension must be at most 128, got 129');
    });
  });
});
