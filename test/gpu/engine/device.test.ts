import { afterEach, describe, expect, it } from 'vitest';
import { noGrad, ops, type Engine } from '../../../src/autograd/index.ts';
import { defineKernel, DeviceLostError, EngineError, OutOfMemoryError, type DeviceOptions } from '../../../src/engine/index.ts';
import { randomArray } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';

const oneOutput = { inputs: [], outputs: ['y'], workgroups: () => 1 } as const;
const brokenKernel = defineKernel({ ...oneOutput, label: 'test.broken', source: '@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n\n@compute @workgroup_size(1)\nfn main() {\n  y[0] = missing;\n}\n' });
const misboundKernel = defineKernel({ ...oneOutput, label: 'test.misbound', source: '@group(0) @binding(0) var<storage, read_write> y: array<f32, 1000>;\n@compute @workgroup_size(1)\nfn main() { y[0] = 1.0; }\n' });

const opened: Engine[] = [];

/** An engine of its own, destroyed when the test ends. */
async function open(options: DeviceOptions = {}): Promise<Engine> {
  const engine = await openTestEngine(options);
  opened.push(engine);
  return engine;
}

afterEach(() => {
  for (const engine of opened.splice(0)) engine.destroy();
});

const { features } = (await testEngine()).device.gpu;

describe('buffer pool', () => {
  it('lends a released buffer again', async () => {
    const engine = await open();
    const first = engine.zeros([1000]);
    const { id } = first.view.buffer;
    first.dispose();
    expect(engine.memory).toMatchObject({ liveBytes: 0, liveBuffers: 0, freeBytes: 4096 });
    expect(engine.zeros([1001]).view.buffer.id).toBe(id);
    expect(engine.memory).toMatchObject({ liveBytes: 4096, liveBuffers: 1, freeBytes: 0, peakBytes: 4096 });
  });

  it('refuses what exceeds the budget, naming numbers and remedy, and goes on', async () => {
    const engine = await open({ memoryBudget: 2 ** 20 });
    const held = engine.zeros([2 ** 17]);
    expect(() => engine.zeros([2 ** 18])).toThrow(/needs 1\.0 MiB more, but 512\.0 KiB of the budget of 1\.0 MiB are in use; use a smaller batch/);
    expect(() => engine.zeros([2 ** 18])).toThrow(OutOfMemoryError);
    held.dispose();
    // Only room when the half that is held for reuse is given up.
    expect((await engine.full([2 ** 18], 3).toArray()).at(-1)).toBe(3);
  });

  it('frees as much as the budget asks for, the largest first, and no more', async () => {
    const engine = await open({ memoryBudget: 2 ** 20 });
    const [small, large] = [engine.zeros([2 ** 15]), engine.zeros([2 ** 16])];
    small.dispose();
    large.dispose();
    const kept = engine.zeros([3 * 2 ** 16]);
    expect(engine.memory).toMatchObject({ liveBytes: 3 * 2 ** 18, freeBytes: 2 ** 17 });
    engine.device.pool.budget = 2 ** 19;
    expect(engine.memory).toMatchObject({ liveBytes: 3 * 2 ** 18, freeBytes: 0 });
    expect(() => engine.zeros([1])).toThrow(OutOfMemoryError);
    expect(await kept.toArray()).toHaveLength(3 * 2 ** 16);
  });

  it('a counting engine lends the same and computes nothing', async () => {
    const engine = await open();
    const counting = await engine.counting();
    const work = async (on: Engine): Promise<unknown> => {
      const x = on.full([63, 65], 2);
      const y = on.scope(() => ops.matmul(x, ops.permute(x, [1, 0])));
      const [first] = await y.toArray();
      const { peakBytes, liveBytes, liveBuffers } = on.memory;
      return { first, peakBytes, liveBytes, liveBuffers };
    };
    const measured = await work(engine);
    expect(measured).toMatchObject({ first: 260 });
    expect(await work(counting)).toEqual({ ...(measured as object), first: 0 });
    expect(counting.device.isSoftware).toBe(engine.device.isSoftware);
  });

  it('refuses a buffer beyond the adapter', async () => {
    const engine = await open();
    const elements = Math.ceil(engine.device.gpu.limits.maxBufferSize / 4) + 1024;
    expect(() => engine.empty([elements])).toThrow(/maxBufferSize/);
  });
});

describe('errors', () => {
  it('shows file, line and excerpt of a kernel that does not compile', async () => {
    const engine = await open();
    const y = engine.zeros([1]);
    engine.device.run(brokenKernel, { y: y.view });
    const error = await engine.sync().then(() => null, (reason: Error) => reason);
    expect(error).toBeInstanceOf(EngineError);
    expect(error!.message).toMatch(/^test\.broken: the kernel does not compile\ntest\.broken\.wgsl:5:10: .*missing/);
    expect(error!.message).toContain('    5 |   y[0] = missing;\n      |          ^');
  });

  it('throws a validation error with the name of the op', async () => {
    const engine = await open();
    const y = engine.zeros([1]); // the kernel's y takes 4000 bytes
    await engine.sync();
    engine.inOp('misboundOp', () => engine.device.run(misboundKernel, { y: y.view }));
    const error = await engine.sync().then(() => null, (reason: Error) => reason);
    expect(error).toBeInstanceOf(EngineError);
    expect(error!.message).toMatch(/^misboundOp: /);
    await engine.sync(); // reported once
  });

  it('names a binding or param that is missing or unknown', async () => {
    const engine = await open();
    const y = engine.zeros([1]);
    const { device } = engine;
    expect(() => device.run(brokenKernel, {})).toThrow('test.broken: binding "y" is missing');
    expect(() => device.run(brokenKernel, { y: y.view, z: y.view })).toThrow('test.broken: has no binding "z"');
    expect(() => device.run(brokenKernel, { y: y.view }, { count: 1 })).toThrow('test.broken: has no param "count"');
    y.dispose();
  });

  it('reports a destroyed device', async () => {
    const engine = await openTestEngine();
    const x = engine.full([4], 1);
    await engine.sync();
    engine.destroy();
    await expect(x.toArray()).rejects.toThrow(DeviceLostError);
    expect(() => engine.zeros([4])).toThrow(/lost \(destroyed\).*open a new engine and resume from the last checkpoint/);
  });

  it('reports a device destroyed while a read waits', async () => {
    const engine = await openTestEngine();
    const x = engine.full([4], 1);
    const read = x.toArray();
    engine.destroy();
    await expect(read).rejects.toThrow(DeviceLostError);
  });
});

describe('dispatch', () => {
  it('lays out more than 65,535 workgroups', async () => {
    const engine = await open();
    const size = 65_535 * 64 + 64 * 3 + 1;
    const y = await engine.full([size], 7).toArray();
    expect(y.length).toBe(size);
    expect(y.every((value) => value === 7)).toBe(true);
  });

  it('splits bindings beyond the limit with the same results', async () => {
    const [whole, split] = [await open(), await open({ bindingLimit: 64 * 65 * 4 * 2 })];
    const x = Float32Array.from(randomArray(333 * 65, 1));
    const run = async (engine: Engine): Promise<unknown> => {
      const tensors = [engine.tensor(x, [333, 65]), engine.full([65], 1.5), engine.full([65], 0.25)] as const;
      return (await noGrad(() => ops.layerNorm(...tensors)).toArray()) as unknown;
    };
    expect(await run(split)).toEqual(await run(whole));
  });

  it('names the op and the operand that cannot be split', async () => {
    const engine = await open({ bindingLimit: 4096 });
    const [x, weight] = [engine.zeros([1, 2000]), engine.zeros([2000])];
    expect(() => ops.layerNorm(x, weight, null)).toThrow(/^layerNorm \(layer-norm\.forward[a-z-]*\): binding "x" has 7\.8 KiB, the adapter binds at most 4\.0 KiB and this operand cannot be split/);
  });

  it('keeps an upload in order with work that is recorded but not submitted', async () => {
    const engine = await open();
    const x = engine.tensor([1, 2, 3, 4]);
    const before = engine.copyOf(x);
    x.write(Float32Array.from([5, 6, 7, 8]));
    const after = engine.copyOf(x);
    expect([...(await before.toArray())]).toEqual([1, 2, 3, 4]);
    expect([...(await after.toArray())]).toEqual([5, 6, 7, 8]);
  });

  it('keeps params apart over more dispatches than one batch takes', async () => {
    const engine = await open();
    const tensors = Array.from({ length: 300 }, (_, i) => engine.full([1], i));
    const values = await Promise.all(tensors.map((tensor) => tensor.item()));
    expect(values).toEqual(tensors.map((_, i) => i));
  });

  it.skipIf(!features.has('timestamp-query'))('profiles kernels', async () => {
    const engine = await open();
    const times = await engine.device.profile(() => {
      for (let i = 0; i < 3; i++) engine.full([2 ** 16], i);
      ops.layerNorm(engine.full([64, 65], 1), null, null);
    });
    const byKernel = Object.fromEntries(times.map((time) => [time.kernel, time]));
    // Which plan of layerNorm runs depends on the adapter.
    expect(times.filter(({ kernel }) => kernel.startsWith('layer-norm.forward')).map(({ dispatches }) => dispatches)).toEqual([1]);
    expect(byKernel['fill']!.dispatches).toBe(6); // three, layerNorm's input, and its default weight and bias
    for (const { milliseconds } of times) expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect(times.reduce((sum, { milliseconds }) => sum + milliseconds, 0)).toBeGreaterThan(0);
    expect(await engine.full([1], 2).item()).toBe(2); // goes on as before
  });

  it('agrees when every dispatch is submitted by itself', async () => {
    const engine = await open({ debug: true });
    expect([...(await ops.layerNorm(engine.tensor([1, 3], [1, 2]), null, null, { eps: 0 }).toArray())]).toEqual([-1, 1]);
  });
});

