import { describe, expect, it } from 'vitest';
import { checkpoint, noGrad, ops, type Engine, type Tensor } from '../../../src/autograd/index.ts';
import { checkShape } from '../../../src/engine/index.ts';
import { layerNormBackwardReference } from '../../../src/autograd/ops/layer-norm.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

const [rows, columns] = [3, 5];
const xValues = randomArray(rows * columns, 1);
const weightValues = randomArray(columns, 2);
const dYValues = randomArray(rows * columns, 3);
const reference = layerNormBackwardReference(xValues, weightValues, dYValues, columns);

interface Leaves {
  x: Tensor;
  weight: Tensor;
  dY: Tensor;
}

/** Runs `work` in a scope with fresh leaves and proves that nothing but what is returned survives it. */
async function withLeaves<R>(work: (engine: Engine, leaves: Leaves) => Promise<R> | R): Promise<R> {
  const engine = await testEngine();
  const before = engine.memory.liveBuffers;
  const result = await engine.scope(async () => {
    const leaves = {
      x: engine.tensor(Float32Array.from(xValues), [rows, columns], { requiresGrad: true }),
      weight: engine.tensor(Float32Array.from(weightValues), [columns], { requiresGrad: true }),
      dY: engine.tensor(Float32Array.from(dYValues), [rows, columns]),
    };
    try {
      return await work(engine, leaves);
    } finally {
      leaves.x.zeroGrad();
      leaves.weight.zeroGrad();
    }
  });
  expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  return result;
}

const times = (values: Float64Array, factor: number): Float64Array => values.map((value) => value * factor);
const norm = ({ x, weight }: Pick<Leaves, 'x' | 'weight'>): Tensor => ops.layerNorm(x, weight, null);

describe('backward', () => {
  it('adds to the gradients of earlier passes until zeroGrad', () =>
    withLeaves(async (_, leaves) => {
      await norm(leaves).backward(leaves.dY);
      await norm(leaves).backward(leaves.dY);
      expectClose(await leaves.x.grad!.toArray(), times(reference.x, 2), 1e-5);
      expectClose(await leaves.weight.grad!.toArray(), times(reference.weight, 2), 1e-5);
      leaves.x.zeroGrad();
      await norm(leaves).backward(leaves.dY);
      expectClose(await leaves.x.grad!.toArray(), reference.x, 1e-5);
      expectClose(await leaves.weight.grad!.toArray(), times(reference.weight, 3), 1e-5);
    }));

  it('sums over two branches that meet again (diamond)', () =>
    withLeaves(async (_, leaves) => {
      const { x, dY } = leaves;
      const middle = norm(leaves);
      const unit = ops.layerNorm(middle, null, null);
      const joined = ops.add(ops.add(unit, middle), middle); // middle reaches the end three times
      await joined.backward(dY);
      const branch = layerNormBackwardReference(await doubles(middle), null, dYValues, columns).x;
      const dMiddle = branch.map((value, i) => value + 2 * dYValues[i]!);
      expectClose(await x.grad!.toArray(), layerNormBackwardReference(xValues, weightValues, dMiddle, columns).x, 1e-5);
    }));

  it('takes one tensor twice as inputs of one op', () =>
    withLeaves(async (_, { x, dY }) => {
      await ops.mul(x, x).backward(dY);
      expectClose(await x.grad!.toArray(), xValues.map((value, i) => 2 * value * dYValues[i]!), 1e-6);
    }));

  it('does not change the gradient that was passed in', () =>
    withLeaves(async (_, { x, dY }) => {
      await ops.add(x, x).backward(dY);
      expectClose(await dY.toArray(), dYValues, 1e-7);
      expectClose(await x.grad!.toArray(), times(dYValues, 2), 1e-6);
    }));

  it('leaves leaves without requiresGrad alone', () =>
    withLeaves(async (_, leaves) => {
      leaves.weight.requiresGrad = false;
      await norm(leaves).backward(leaves.dY);
      expect(leaves.weight.grad).toBeNull();
      expectClose(await leaves.x.grad!.toArray(), reference.x, 1e-5);
    }));

  it('stops at detach', () =>
    withLeaves((_, leaves) => {
      expect(norm(leaves).detach().requiresGrad).toBe(false);
    }));

  it('refuses a second pass over one history', () =>
    withLeaves(async (_, leaves) => {
      const y = norm(leaves);
      await y.backward(leaves.dY);
      await expect(y.backward(leaves.dY)).rejects.toThrow('backward: the history of "layerNorm" was already used');
    }));

  it('refuses a gradient that does not fit, a missing one, and a tensor without history', () =>
    withLeaves(async (engine, leaves) => {
      await expect(norm(leaves).backward(engine.zeros([2]))).rejects.toThrow('backward: the gradient has shape [2], the tensor [3, 5]');
      await expect(norm(leaves).backward()).rejects.toThrow('backward: without a gradient takes a scalar, got [3, 5]');
      await expect(leaves.dY.backward(leaves.dY)).rejects.toThrow('does not depend on any tensor with requiresGrad');
    }));

  it('lets backward of a leaf itself be its gradient', () =>
    withLeaves(async (_, { x, dY }) => {
      await x.backward(dY);
      expectClose(await x.grad!.toArray(), dYValues, 1e-7);
    }));
});

describe('noGrad', () => {
  it('records nothing, also when its work throws', () =>
    withLeaves((_, leaves) => {
      expect(noGrad(() => norm(leaves)).requiresGrad).toBe(false);
      expect(() => noGrad(() => checkShape([0], 'here'))).toThrow('here');
      expect(norm(leaves).requiresGrad).toBe(true);
    }));
});

describe('scope', () => {
  it('disposes all but what is returned, in any nesting', async () => {
    const engine = await testEngine();
    const { liveBuffers } = engine.memory;
    const made = engine.scope(() => {
      engine.zeros([10]);
      return { list: [engine.full([1], 1)], deep: { one: engine.full([1], 2) } };
    });
    expect(engine.memory.liveBuffers).toBe(liveBuffers + 2);
    expect([await made.list[0]!.item(), await made.deep.one.item()]).toEqual([1, 2]);
    made.list[0]!.dispose();
    made.deep.one.dispose();
    made.deep.one.dispose(); // safe twice
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(liveBuffers);
  });

  it('disposes when its work throws or rejects', async () => {
    const engine = await testEngine();
    const { liveBuffers } = engine.memory;
    expect(() =>
      engine.scope(() => {
        engine.scope(() => engine.zeros([10]));
        throw new Error('sync');
      }),
    ).toThrow('sync');
    await expect(
      engine.scope(async () => {
        engine.zeros([10]);
        await Promise.resolve();
        throw new Error('async');
      }),
    ).rejects.toThrow('async');
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(liveBuffers);
  });

  it('disposes the intermediates of an op that throws half-way', () =>
    withLeaves((engine, { x }) => {
      const { liveBuffers } = engine.memory;
      expect(() => ops.layerNorm(x, engine.zeros([columns + 1]), null)).toThrow('weight must be [5], got [6]');
      expect(engine.memory.liveBuffers).toBe(liveBuffers + 1); // the weight of six
    }));

  it('hands tensors to the scope around it, and keep takes them out of all', async () => {
    const engine = await testEngine();
    const kept = engine.scope(() => {
      const inner = engine.scope(() => engine.full([1], 3));
      const free = engine.keep(engine.full([1], 4));
      expect(inner.disposed).toBe(false);
      return { outcome: inner.alias(), inner: () => inner.disposed, free: () => free };
    });
    expect(kept.inner()).toBe(true);
    expect(await kept.outcome.item()).toBe(3); // its handle keeps the memory
    expect(await kept.free().item()).toBe(4);
    kept.outcome.dispose();
    kept.free().dispose();
  });

  it('frees histories that nothing returned depends on, and keeps the others', async () => {
    const engine = await testEngine();
    const x = engine.tensor(Float32Array.from(xValues), [rows, columns], { requiresGrad: true });
    const weight = engine.tensor(Float32Array.from(weightValues));
    const dY = engine.tensor(Float32Array.from(dYValues), [rows, columns]);
    const { liveBuffers } = engine.memory;
    engine.scope(() => {
      norm({ x, weight });
    });
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(liveBuffers);
    const y = engine.scope(() => {
      norm({ x, weight });
      return norm({ x, weight });
    });
    expect(engine.memory.liveBuffers).toBe(liveBuffers + 3); // y, and the mean and rstd that its history saved
    await y.backward(dY);
    expectClose(await x.grad!.toArray(), reference.x, 1e-5);
    for (const tensor of [x, weight, dY, y]) tensor.dispose();
    x.zeroGrad();
    expect(engine.memory.liveBuffers).toBe(liveBuffers - 3);
  });

  it('refuses a tensor that was disposed, naming the op and the remedy', () =>
    withLeaves(async (engine, { weight }) => {
      const gone = engine.zeros([rows, columns]);
      gone.dispose();
      expect(() => ops.layerNorm(gone, weight, null)).toThrow('layerNorm: a tensor [3, 5] is used after it was disposed; keep it with engine.keep or return it from the scope');
      await expect(gone.toArray()).rejects.toThrow('used after it was disposed');
    }));
});

describe('checkpoint', () => {
  it('gives the same output and gradients, also for weights closed over, and saves only the inputs', () =>
    withLeaves(async (engine, { x, weight, dY }) => {
      const body = (input: Tensor): Tensor => {
        let y = input;
        for (let i = 0; i < 4; i++) y = ops.layerNorm(y, weight, null);
        return y;
      };
      const plain = body(x);
      const held = engine.memory.liveBuffers;
      await plain.backward(dY);
      const [dX, dWeight] = [await x.grad!.toArray(), await weight.grad!.toArray()];
      const values = await plain.toArray();
      x.zeroGrad();
      weight.zeroGrad();
      plain.dispose();

      const before = engine.memory.liveBuffers;
      const y = checkpoint(body, x);
      expect(engine.memory.liveBuffers - before).toBeLessThanOrEqual(2); // the output and the tape's one-element anchor
      expect(held).toBeGreaterThan(before + 2);
      expect(await y.toArray()).toEqual(values);
      await y.backward(dY);
      expect(await x.grad!.toArray()).toEqual(dX);
      expect(await weight.grad!.toArray()).toEqual(dWeight);
    }));

  it('reaches weights even when no input needs a gradient', () =>
    withLeaves(async (_, { x, weight, dY }) => {
      x.requiresGrad = false;
      await checkpoint((input) => ops.layerNorm(input, weight, null), x).backward(dY);
      expect(x.grad).toBeNull();
      expectClose(await weight.grad!.toArray(), reference.weight, 1e-5);
    }));

  it('passes gradients on to what came before it', () =>
    withLeaves(async (_, leaves) => {
      const scaled = ops.mul(leaves.x, leaves.x);
      await checkpoint((input) => ops.add(input, input), scaled).backward(leaves.dY);
      expectClose(await leaves.x.grad!.toArray(), xValues.map((value, i) => 4 * value * dYValues[i]!), 1e-6);
    }));

  it('records nothing under noGrad', () =>
    withLeaves((_, { x }) => {
      expect(noGrad(() => checkpoint((input) => ops.add(input, input), x)).requiresGrad).toBe(false);
    }));
});

async function doubles(tensor: Tensor): Promise<Float64Array> {
  return Float64Array.from((await tensor.toArray()) as Float32Array);
}
