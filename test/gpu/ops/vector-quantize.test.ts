import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { vectorQuantizeReference } from '../../../src/autograd/ops/vector-quantize.ts';
import { randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('vectorQuantize', () => {
  // Random similarities differ by far more than an f32 rounding: the codes are exactly those of the reference.
  for (const [rows, columns, codes] of [[1, 1, 1], [3, 5, 1], [63, 65, 3], [65, 3, 63], [130, 32, 1000]] as const) {
    for (const tileBytes of [undefined, 4 * codes * 17, 1]) {
      it(`finds the nearest of ${codes} codes for [${rows}, ${columns}], tiles of ${tileBytes ?? 'the default'} bytes`, async () => {
        const codebook = input([codes, columns], 2, { constant: true });
        await expectOp({
          inputs: { x: input([rows, columns], 1), codebook },
          run: ({ x, codebook }) => ops.vectorQuantize(x, codebook, { tileBytes }).quantised,
          reference: ({ x, codebook }) => Float64Array.from(vectorQuantizeReference(x, codebook, columns), (n) => n).reduce<Float64Array>((y, code, row) => {
            y.set(codebook.subarray(code * columns, (code + 1) * columns), row * columns);
            return y;
          }, new Float64Array(rows * columns)),
          backward: (_, dY) => ({ x: dY }),
          tolerance: 0,
          gradientTolerance: 0,
        });
      });
    }
  }

  it('compares directions, not lengths, and gives the stored row back', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const codebook = engine.tensor([100, 1, 0, 0.5, -3, 0], [3, 2]);
      const { quantised, ids } = ops.vectorQuantize(engine.tensor([0.1, 9, -1, 0.1, 5, 0, 0, 0], [4, 2]), codebook);
      expect([...(await ids.toArray())]).toEqual([1, 2, 0, 0]); // a row of zeros is as near to all: the first
      expect([...(await quantised.toArray())]).toEqual([0, 0.5, -3, 0, 100, 1, 100, 1]);
    });
  });

  it('takes the first of equal codes', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const row = Float32Array.from(randomArray(7, 3));
      const codebook = engine.tensor(Float32Array.from([...row.map((v) => -v), ...row, ...row]), [3, 7]);
      expect([...(await ops.vectorQuantize(engine.tensor(row, [1, 7]), codebook).ids.toArray())]).toEqual([1]);
    });
  });

  it('says what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.vectorQuantize(engine.zeros([2, 3]), engine.zeros([4, 5]))).toThrow('vectorQuantize: codebook must be [*, 3], got [4, 5]');
    });
  });
});
