import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { sliceBackwardReference, sliceReference } from '../../../src/autograd/ops/slice.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('slice', () => {
  it.each([
    [[1], 0, 0, 1],
    [[65], 0, 3, 64],
    [[3, 65, 5], 1, 2, 3],
    [[3, 5, 63], 2, 1, 63],
    [[63, 5], 0, 62, 63],
    [[3, 5], 1, 0, 5],
  ])('agrees with its reference on %j, axis %i from %i to %i', async (shape, dim, start, end) => {
    await expectOp({
      inputs: { x: input(shape, 1) },
      run: ({ x }) => ops.slice(x, { dim, start, end }),
      reference: ({ x }) => sliceReference(x, shape, dim, start, end),
      backward: (_, dY) => ({ x: sliceBackwardReference(shape, dim, start, end, dY) }),
      tolerance: 0, // a copy
    });
  });

  it('counts negative positions from the end, and takes defaults', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const x = engine.tensor(Uint32Array.of(0, 1, 2, 3, 4));
      expect([...(await ops.slice(x, { dim: -1, start: -3, end: -1 }).toArray())]).toEqual([2, 3]);
      expect([...(await ops.slice(x, { dim: 0, start: 3 }).toArray())]).toEqual([3, 4]);
      expect([...(await ops.slice(x, { dim: 0, end: 2 }).toArray())]).toEqual([0, 1]);
    });
  });

  it('cuts bytes in rows of whole words, and refuses others', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const bytes = Uint8Array.from({ length: 2 * 3 * 8 }, (_, at) => 200 - at);
      const x = engine.tensor(bytes, [2, 3, 8]);
      const y = ops.slice(x, { dim: 1, start: 1, end: 3 });
      expect(y).toMatchObject({ shape: [2, 2, 8], dtype: 'u8' });
      expect([...(await y.toArray())]).toEqual([...bytes.slice(8, 24), ...bytes.slice(32, 48)]);
      expect(() => ops.slice(x, { dim: 2, start: 0, end: 4 })).toThrow('slice: x must be f32, f16, u32, or u8 in rows of whole words cut along another axis, got u8 [2, 3, 8] cut along axis 2');
      expect(() => ops.slice(engine.tensor(bytes, [8, 6]), { dim: 0, end: 4 })).toThrow('got u8 [8, 6]');
    });
  });

  it('adds the gradients of overlapping slices', async () => {
    await expectOp({
      inputs: { x: input([5, 3], 2) },
      run: ({ x }) => ops.add(ops.slice(x, { dim: 0, start: 0, end: 4 }), ops.slice(x, { dim: 0, start: 1, end: 5 })),
      reference: ({ x }) => Float64Array.from({ length: 12 }, (_, i) => x[i]! + x[i + 3]!),
      backward: (_, dY) => ({ x: Float64Array.from({ length: 15 }, (_, i) => (dY[i] ?? 0) + (dY[i - 3] ?? 0)) }),
    });
  });

  it('names a part outside', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.slice(engine.zeros([2, 3]), { dim: 1, start: 1, end: 4 })).toThrow('slice: start and end must enclose a part of axis 1 of extent 3, got 1 to 4');
      expect(() => ops.slice(engine.zeros([2, 3]), { dim: 1, start: 2, end: 2 })).toThrow('slice: start and end must enclose a part of axis 1 of extent 3, got 2 to 2');
      expect(() => ops.slice(engine.zeros([2, 3]), { dim: 2 })).toThrow('slice: axis 2 is outside a tensor of rank 2');
    });
  });
});
