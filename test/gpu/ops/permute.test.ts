import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { binaryReference } from '../../../src/autograd/ops/binary.ts';
import { inverseOrder, permuteReference } from '../../../src/autograd/ops/permute.ts';
import { sumReference } from '../../../src/autograd/ops/reduce.ts';
import { product } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('permute', () => {
  it.each([
    [[1], [0]],
    [[63, 65], [1, 0]],
    [[2, 65, 3, 7], [0, 2, 1, 3]],
    [[2, 3, 65], [2, 0, 1]],
    [[3, 1, 5], [1, 0, 2]],
    [[2, 3, 5, 7], [0, 1, 2, 3]],
    [[2, 3, 2, 3, 2, 3, 2, 3], [7, 5, 3, 1, 6, 4, 2, 0]],
  ])('agrees with its reference on %j to %j', async (shape, axes) => {
    await expectOp({
      inputs: { x: input(shape, 1) },
      run: ({ x }) => {
        const y = ops.permute(x, axes);
        expect(y.shape).toEqual(axes.map((axis) => shape[axis]));
        return y;
      },
      reference: ({ x }) => permuteReference(x, shape, axes),
      backward: (_, dY) => ({ x: permuteReference(dY, axes.map((axis) => shape[axis]!), inverseOrder(axes)) }),
      tolerance: 0, // a copy
    });
  });

  it('copies the bits of indices', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const y = ops.permute(engine.tensor(Uint32Array.of(0xffffffff, 2, 0x7fc00001, 4, 5, 6), [2, 3]), [1, 0]);
      expect([...(await y.toArray())]).toEqual([0xffffffff, 4, 2, 5, 0x7fc00001, 6]);
    });
  });

  it('names axes that are no permutation', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.permute(engine.zeros([2, 3]), [0, 0])).toThrow('permute: axes must name each of the 2 axes once, got [0, 0]');
      expect(() => ops.permute(engine.zeros([2, 3]), [0])).toThrow('permute: axes must name each of the 2 axes once, got [0]');
      expect(() => ops.permute(engine.zeros([2, 3]), [0, 2])).toThrow('permute: axis 2 is outside a tensor of rank 2');
    });
  });
});

describe('transpose', () => {
  it('exchanges two axes', async () => {
    await expectOp({
      inputs: { x: input([3, 5, 65], 2) },
      run: ({ x }) => ops.transpose(x, -1, 0),
      reference: ({ x }) => permuteReference(x, [3, 5, 65], [2, 1, 0]),
      backward: (_, dY) => ({ x: permuteReference(dY, [65, 5, 3], [2, 1, 0]) }),
      tolerance: 0,
    });
  });
});

describe('expand', () => {
  it.each([
    [[3, 1], [3, 65], [1]],
    [[1, 5], [7, 3, 5], [0, 1]],
    [[], [3, 3], [0, 1]],
    [[3, 5], [1, 3, 5], []],
  ])('repeats %j to %j', async (from, to, axes) => {
    await expectOp({
      inputs: { x: input(from, 3) },
      run: ({ x }) => ops.expand(x, to),
      reference: ({ x }) => binaryReference('add', x, from, new Float64Array(product(to)), to),
      backward: (_, dY) => ({ x: sumReference(dY, to, axes) }),
      tolerance: 0,
    });
  });

  it('names a shape that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.expand(engine.zeros([2, 3]), [2, 1])).toThrow('expand: [2, 3] cannot be expanded to [2, 1]');
      expect(() => ops.expand(engine.zeros([2, 3]), [2, 4])).toThrow('expand: shapes [2, 3] and [2, 4] do not broadcast');
    });
  });
});
