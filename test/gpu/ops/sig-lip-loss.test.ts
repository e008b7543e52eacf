import { describe, expect, it } from 'vitest';
import { ops, type Tensor } from '../../../src/autograd/index.ts';
import { sigLipLossReference } from '../../../src/autograd/ops/sig-lip-loss.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';
import { expectContrastiveFixture } from './contrastive-fixture.ts';

interface Case {
  images: number;
  texts: number;
  channels: number;
  chunkSize?: number;
  /** Ids repeat with this period; 0: the diagonal. */
  period?: number;
  asMatches?: boolean;
  shift?: number;
}

function ids(count: number, period: number): string[] {
  return Array.from({ length: count }, (_, index) => `report ${index % period}`);
}

describe('sigLipLoss', () => {
  const cases: Case[] = [
    { images: 1, texts: 1, channels: 1 },
    { images: 3, texts: 3, channels: 63 },
    { images: 5, texts: 65, channels: 7, period: 4, chunkSize: 16 },
    { images: 63, texts: 9, channels: 65, period: 6, chunkSize: 2, asMatches: true },
    { images: 300, texts: 130, channels: 33, chunkSize: 63, period: 90 },
    { images: 4, texts: 4, channels: 8, shift: -10 },
  ];
  for (const { images, texts, channels, chunkSize, period = 0, asMatches = false, shift = -2 } of cases) {
    it(`agrees with its reference: ${images} images, ${texts} texts, ${channels} channels, chunks of ${chunkSize ?? 'all'}`, async () => {
      const matched = (i: number, j: number): boolean => (period ? i % period === j % period : i === j);
      const matches = Uint8Array.from({ length: images * texts }, (_, at) => Number(matched(Math.floor(at / texts), at % texts)));
      const byId = period ? { imageIds: ids(images, period), textIds: ids(texts, period) } : {};
      await expectOp({
        // With one channel a unit row is ±1: its gradient is zero, which no relative error can be taken of.
        inputs: { u: input([images, channels], 1, { constant: channels === 1 }), v: input([texts, channels], 2, { scale: 3, constant: channels === 1 }), logScale: input([1], 3, { shift: 2 }), bias: input([1], 4, { shift }) },
        run: ({ u, v, logScale, bias }) => ops.sigLipLoss(u, v, logScale, bias, { chunkSize, ...(asMatches ? { matches } : byId) }),
        reference: (values) => Float64Array.of(sigLipLossReference(values, channels, matched).loss),
        backward: (values, dY) => {
          const gradients = sigLipLossReference(values, channels, matched);
          const scaled = (x: Float64Array): Float64Array => x.map((value) => value * dY[0]!);
          const rows = channels > 1 ? { u: scaled(gradients.u), v: scaled(gradients.v) } : {};
          return { ...rows, logScale: scaled(gradients.logScale), bias: scaled(gradients.bias) };
        },
      });
    });
  }

  it('agrees with PyTorch', async () => {
    await expectContrastiveFixture('sig-lip-loss', ({ u, v, logScale, bias }, { imageIds, textIds }) => ops.sigLipLoss(u!, v!, logScale!, bias!, { imageIds, textIds }));
  });

  it.each([['sigLipLoss', 8], ['infoNceLoss', 8]] as const)('%s takes scalars without an axis, as PyTorch has them, and gives their gradients so', async (op, channels) => {
    const engine = await testEngine();
    const results = [];
    for (const shape of [[1], []]) {
      const make = (value: number): Tensor => engine.tensor([value], shape, { requiresGrad: true });
      const [u, v] = [1, 2].map((seed) => engine.tensor(Float32Array.from({ length: 3 * channels }, (_, at) => Math.sin(seed * at + seed)), [3, channels])) as [Tensor, Tensor];
      const [scale, bias] = [make(1.5), make(-2)];
      const loss = op === 'sigLipLoss' ? ops.sigLipLoss(u, v, scale, bias) : ops.infoNceLoss(u, v, scale);
      await loss.backward();
      expect(scale.grad!.shape).toEqual(shape);
      results.push([await loss.item(), await scale.grad!.item(), bias.grad && (await bias.grad.item())]);
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('says what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const [u, v, one] = [engine.zeros([3, 4]), engine.zeros([2, 4]), engine.zeros([1])] as [Tensor, Tensor, Tensor];
      expect(() => ops.sigLipLoss(u, engine.zeros([2, 5]), one, one)).toThrow('sigLipLoss: v must be [*, 4], got [2, 5]');
      expect(() => ops.sigLipLoss(u, v, u, one)).toThrow('sigLipLoss: logScale must be [1], got [3, 4]');
      expect(() => ops.sigLipLoss(u, v, one, one, { imageIds: ['a', 'b'], textIds: ['a', 'b'] })).toThrow('imageIds must hold 3 ids, got 2');
      expect(() => ops.sigLipLoss(u, v, one, one, { imageIds: ['a', 'b', 'c'] })).toThrow('imageIds and textIds together');
      expect(() => ops.sigLipLoss(u, v, one, one, { matches: new Uint8Array(5) })).toThrow('matches must hold 3 · 2 values, got 5');
      expect(() => ops.sigLipLoss(u, v, one, one, { chunkSize: 0 })).toThrow('chunkSize must be a positive whole number, got 0');
    });
  });
});
