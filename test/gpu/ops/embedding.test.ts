import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { embeddingBackwardReference, embeddingReference } from '../../../src/autograd/ops/embedding.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const cases: { vocabulary: number; columns: number; idsShape: number[] }[] = [
  { vocabulary: 1, columns: 1, idsShape: [1] },
  { vocabulary: 3, columns: 65, idsShape: [63] },
  { vocabulary: 65, columns: 63, idsShape: [3, 7] },
  { vocabulary: 1000, columns: 5, idsShape: [2, 3, 65] },
];

describe('embedding', () => {
  for (const { vocabulary, columns, idsShape } of cases) {
    it(`agrees with its reference: [${vocabulary}, ${columns}] at ids [${idsShape}]`, async () => {
      const count = idsShape.reduce((a, b) => a * b);
      const ids = Uint32Array.from(randomArray(count, 2), (u) => Math.floor(((u + 1) / 2) * vocabulary) % vocabulary);
      await expectOp({
        inputs: { weight: input([vocabulary, columns], 1) },
        run: ({ weight }) => {
          const y = ops.embedding(weight, ids, idsShape);
          expect(y.shape).toEqual([...idsShape, columns]);
          return y;
        },
        reference: ({ weight }) => embeddingReference(weight, ids, columns),
        backward: ({ weight }, dY) => ({ weight: embeddingBackwardReference(weight, ids, dY, columns) }),
      });
    });
  }

  it('keeps the ids of the call when the caller reuses the array', async () => {
    const ids = Uint32Array.of(0, 2, 2);
    const first = Uint32Array.from(ids);
    await expectOp({
      inputs: { weight: input([3, 2], 1) },
      run: ({ weight }) => {
        ids.set(first);
        const y = ops.embedding(weight, ids);
        ids.fill(1);
        return y;
      },
      reference: ({ weight }) => embeddingReference(weight, first, 2),
      backward: ({ weight }, dY) => ({ weight: embeddingBackwardReference(weight, first, dY, 2) }),
    });
  });

  it('agrees with PyTorch', async () => {
    const fixture = JSON.parse(readFileSync(new URL('../../fixtures/ops/embedding.json', import.meta.url), 'utf8')) as { ids: number[][]; y: number[]; d_weight: number[] };
    const engine = await testEngine();
    const wave = (length: number, phase: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7 + phase));
    await engine.scope(async () => {
      const weight = engine.tensor(wave(30, 0), [6, 5], { requiresGrad: true });
      const y = ops.embedding(weight, Uint32Array.from(fixture.ids.flat()), [2, 4]);
      expectClose(await y.toArray(), fixture.y, 1e-6, 'forward');
      await y.backward(engine.tensor(wave(40, 1), y.shape));
      expectClose(await weight.grad!.toArray(), fixture.d_weight, 1e-5, 'gradient');
      weight.zeroGrad();
    });
  });

  it('names an id past the table and a shape that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const weight = engine.zeros([10, 4]);
      expect(() => ops.embedding(weight, Uint32Array.of(3, 10))).toThrow('embedding: ids must be below 10, the rows of weight, got 10 at 1');
      expect(() => ops.embedding(weight, Uint32Array.of(3, 1), [3])).toThrow('embedding: ids of shape [3] hold 3 values, got 2');
      expect(() => ops.embedding(engine.zeros([4]), Uint32Array.of(0))).toThrow('embedding: weight must be [*, *], got [4]');
    });
  });
});
