import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { infoNceLossReference } from '../../../src/autograd/ops/info-nce-loss.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';
import { expectContrastiveFixture } from './contrastive-fixture.ts';

describe('infoNceLoss', () => {
  const cases: [images: number, texts: number, channels: number, period: number][] = [
    [3, 3, 63, 0],
    [5, 65, 7, 4],
    [63, 9, 65, 6],
    [140, 140, 33, 0],
  ];
  for (const [images, texts, channels, period] of cases) {
    it(`agrees with its reference: ${images} images, ${texts} texts, ${channels} channels, ids repeat every ${period || 'never'}`, async () => {
      const matched = (i: number, j: number): boolean => (period ? i % period === j % period : i === j);
      const idsOf = (count: number): number[] => Array.from({ length: count }, (_, index) => index % period);
      await expectOp({
        inputs: { u: input([images, channels], 1), v: input([texts, channels], 2, { scale: 3 }), logScale: input([1], 3, { shift: 2 }) },
        run: ({ u, v, logScale }) => ops.infoNceLoss(u, v, logScale, period ? { imageIds: idsOf(images), textIds: idsOf(texts) } : {}),
        reference: (values) => Float64Array.of(infoNceLossReference(values, channels, matched).loss),
        backward: (values, dY) => {
          const { u, v, logScale } = infoNceLossReference(values, channels, matched);
          const scaled = (x: Float64Array): Float64Array => x.map((value) => value * dY[0]!);
          return { u: scaled(u), v: scaled(v), logScale: scaled(logScale) };
        },
      });
    });
  }

  it('agrees with PyTorch', async () => {
    await expectContrastiveFixture('info-nce-loss', ({ u, v, logScale }, { imageIds, textIds }) => ops.infoNceLoss(u!, v!, logScale!, { imageIds, textIds }));
  });

  it('refuses an item without a match', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const [u, v, one] = [engine.zeros([2, 4]), engine.zeros([3, 4]), engine.zeros([1])];
      expect(() => ops.infoNceLoss(u!, v!, one!)).toThrow('infoNceLoss: text 2 must match at least one image');
      expect(() => ops.infoNceLoss(u!, engine.zeros([2, 5]), one!)).toThrow('infoNceLoss: v must be [*, 4], got [2, 5]');
    });
  });
});
