import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('reshape', () => {
  it.each([
    [[1], [], []],
    [[3, 65], [65, 3], [65, 3]],
    [[2, 3, 63], [-1, 7], [54, 7]],
    [[6], [1, -1, 6], [1, 1, 6]],
  ])('sees %j as %j', async (from, to, shape) => {
    await expectOp({
      inputs: { x: input(from, 1) },
      run: ({ x }) => {
        const y = ops.reshape(x, to);
        expect(y.shape).toEqual(shape);
        return y;
      },
      reference: ({ x }) => x,
      backward: (_, dY) => ({ x: dY }),
      tolerance: 0,
    });
  });

  it('adds the gradients of two views of one tensor', async () => {
    await expectOp({
      inputs: { x: input([2, 3], 2) },
      run: ({ x }) => ops.add(ops.reshape(x, [6]), ops.reshape(ops.mul(x, 3), [6])),
      reference: ({ x }) => x.map((v) => 4 * v),
      backward: (_, dY) => ({ x: dY.map((g) => 4 * g) }),
    });
  });

  it('names a shape that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.reshape(engine.zeros([2, 3]), [4])).toThrow('reshape: [2, 3] (6 values) does not fit [4]');
      expect(() => ops.reshape(engine.zeros([2, 3]), [-1, 4])).toThrow('reshape: [2, 3] (6 values) does not fit [-1, 4]');
      expect(() => ops.reshape(engine.zeros([2, 3]), [-1, -1])).toThrow('reshape: [2, 3] (6 values) does not fit [-1, -1]');
    });
  });
});
