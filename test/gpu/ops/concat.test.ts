import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { concatReference } from '../../../src/autograd/ops/concat.ts';
import { sliceReference } from '../../../src/autograd/ops/slice.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('concat', () => {
  it.each([
    [[1], [3], [1], 0],
    [[3, 1, 5], [3, 65, 5], [3, 63, 5], 1],
    [[63, 1], [63, 3], [63, 2], -1],
    [[2, 65], [1, 65], [5, 65], 0],
  ])('agrees with its reference on %j, %j and %j along axis %i', async (a, b, c, dim) => {
    const axis = dim < 0 ? dim + a.length : dim;
    const shapes = [a, b, c];
    const total = a.map((extent, k) => (k === axis ? a[k]! + b[k]! + c[k]! : extent));
    await expectOp({
      inputs: { a: input(a, 1), b: input(b, 2), c: input(c, 3) },
      run: ({ a, b, c }) => ops.concat([a, b, c], { dim }),
      reference: ({ a, b, c }) => concatReference([a, b, c], shapes, axis),
      backward: (_, dY) => {
        const first = a[axis]!;
        const second = first + b[axis]!;
        return {
          a: sliceReference(dY, total, axis, 0, first),
          b: sliceReference(dY, total, axis, first, second),
          c: sliceReference(dY, total, axis, second, total[axis]!),
        };
      },
      tolerance: 0, // a copy
    });
  });

  it('takes one tensor, and one tensor twice', async () => {
    await expectOp({
      inputs: { x: input([3, 2], 4) },
      run: ({ x }) => ops.concat([ops.concat([x], { dim: 0 }), x], { dim: 0 }),
      reference: ({ x }) => Float64Array.of(...x, ...x),
      backward: (_, dY) => ({ x: Float64Array.from({ length: 6 }, (_, i) => dY[i]! + dY[i + 6]!) }),
    });
  });

  it('names tensors that do not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.concat([engine.zeros([2, 3]), engine.zeros([2, 4])], { dim: 0 })).toThrow('concat: tensor 1 must be [*, 3], got [2, 4]');
      expect(() => ops.concat([engine.zeros([2]), engine.tensor(new Uint32Array(2))], { dim: 0 })).toThrow('concat: tensor 1 must be f32, got u32');
      expect(() => ops.concat([], { dim: 0 })).toThrow('concat: takes a tensor');
    });
  });
});
