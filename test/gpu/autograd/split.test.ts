import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ops, type Engine, type Tensor } from '../../../src/autograd/index.ts';
import { copyRows } from '../../../src/autograd/block-copy.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { openTestEngine } from '../../support/engine.ts';

// The project `split` runs the cases of every op in pieces against the float64 references. Here: what those shapes do not reach,
// against the same op in one piece.
const limit = 5120;
let whole: Engine;
let pieces: Engine;
beforeAll(async () => {
  [whole, pieces] = [await openTestEngine(), await openTestEngine({ bindingLimit: limit })];
});
afterAll(() => {
  whole.destroy();
  pieces.destroy();
});

interface Case {
  shapes: Record<string, readonly number[]>;
  run: (inputs: Record<string, Tensor>) => Tensor;
  /** Inputs that get a gradient. Default: all. */
  wanted?: string[];
}

async function results(engine: Engine, { shapes, run, wanted = Object.keys(shapes) }: Case): Promise<Record<string, Float32Array>> {
  return await engine.scope(async () => {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape], k) => [name, engine.tensor(Float32Array.from(randomArray(shape.reduce((a, b) => a * b, 1), k + 1)), shape, { requiresGrad: wanted.includes(name) })]),
    );
    const y = run(inputs);
    const found: Record<string, Float32Array> = { y: (await y.toArray()) as Float32Array };
    await y.backward(engine.tensor(Float32Array.from(randomArray(y.size, 99)), y.shape));
    for (const name of wanted) {
      found[name] = (await inputs[name]!.grad!.toArray()) as Float32Array;
      inputs[name]!.zeroGrad();
    }
    return found;
  });
}

const cases: Record<string, Case> = {
  'attentionGram over many tokens': { shapes: { f: [3, 300, 9], m: [3, 300] }, run: ({ f, m }) => ops.attentionGram(f!, m!) },
  'attentionGram of many batches': { shapes: { f: [40, 5, 7], m: [40, 5] }, run: ({ f, m }) => ops.attentionGram(f!, m!) },
  energySoftmax: { shapes: { e: [70, 63] }, run: ({ e }) => ops.energySoftmax(e!, { tau: 0.5 }) },
  mapDistance: { shapes: { s: [70, 63], t: [70, 63] }, run: ({ s, t }) => ops.mapDistance(s!, t!), wanted: ['s'] },
  'relativeDistance of many batches': { shapes: { x: [1300, 2, 3], t: [1300, 2, 3] }, run: ({ x, t }) => ops.relativeDistance(x!, t!), wanted: ['x'] },
  maskedAlignment: {
    shapes: { x: [3, 130, 17], t: [3, 130, 17], p: [3, 130], q: [3, 17] },
    run: ({ x, t, p, q }) => ops.maskedAlignment(x!, t!, p!, q!),
    wanted: ['x'],
  },
  'tokenEnergy of one batch element': { shapes: { x: [1, 900, 5] }, run: ({ x }) => ops.tokenEnergy(x!) },
  weightedMean: { shapes: { a: [41, 63], b: [3001] }, run: ({ a, b }) => ops.weightedMean([a!, b!], [0.75, 2]) },
  'linear with an activation': {
    shapes: { x: [65, 130], w: [31, 130], b: [31] },
    run: ({ x, w, b }) => ops.linear(x!, w!, b!, { activation: 'gelu' }),
  },
  'depthwise conv3d of many channels': {
    shapes: { x: [2, 33, 5, 7, 9], w: [33, 1, 3, 3, 3], b: [33] },
    run: ({ x, w, b }) => ops.conv3d(x!, w!, b!, { groups: 33, padding: 1 }),
  },
  'conv3d with stride, dilation and one-sided padding': {
    shapes: { x: [1, 3, 17, 13, 15], w: [9, 3, 3, 2, 3], b: [9] },
    run: ({ x, w, b }) => ops.conv3d(x!, w!, b!, { stride: [2, 1, 3], dilation: [2, 3, 1], padding: [[4, 0], [0, 1], [2, 2]] }),
  },
  'conv3d of one long volume to one channel': {
    shapes: { x: [1, 1, 65, 31, 33], w: [1, 1, 5, 5, 5] },
    run: ({ x, w }) => ops.conv3d(x!, w!, null, { padding: 2 }),
  },
  'avgPool3d with overlapping windows of one volume': { shapes: { x: [1, 1, 15, 31, 33] }, run: ({ x }) => ops.avgPool3d(x!, { kernel: [3, 5, 4], stride: [2, 3, 4] }) },
  'avgPool3d with gaps between windows': { shapes: { x: [1, 1, 15, 31, 33] }, run: ({ x }) => ops.avgPool3d(x!, { kernel: 2, stride: [4, 3, 5] }) },
  'interpolate one volume down': { shapes: { x: [1, 1, 15, 31, 33] }, run: ({ x }) => ops.interpolate(x!, { size: [7, 31, 10] }) },
  'interpolate one volume up': { shapes: { x: [1, 1, 7, 11, 13] }, run: ({ x }) => ops.interpolate(x!, { size: [15, 24, 13] }) },
  'matmul of one matrix with many': {
    shapes: { a: [3, 65, 63], b: [63, 66] },
    run: ({ a, b }) => ops.matmul(a!, b!),
  },
  'causal attention with a bias for each head': {
    shapes: { q: [2, 3, 66, 8], k: [2, 3, 66, 8], v: [2, 3, 66, 8], bias: [3, 66, 66] },
    run: ({ q, k, v, bias }) => ops.scaledDotProductAttention(q!, k!, v!, { bias, causal: true }),
  },
  'attention over many keys, fewer queries': {
    shapes: { q: [1, 1, 9, 20], k: [1, 1, 300, 20], v: [1, 1, 300, 20], bias: [9, 300] },
    run: ({ q, k, v, bias }) => ops.scaledDotProductAttention(q!, k!, v!, { bias }),
  },
};

describe('in pieces', () => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const expected = await results(whole, cases[name]!);
    const got = await results(pieces, cases[name]!);
    expect(Object.keys(got)).toEqual(Object.keys(expected));
    // Sums over pieces round otherwise than one sum does.
    for (const [key, values] of Object.entries(expected)) expectClose(got[key]!, values, 1e-5, key);
    expect(await results(pieces, cases[name]!)).toEqual(got);
  });

  it('leaves no buffer behind', async () => {
    const before = pieces.memory.liveBuffers;
    await results(pieces, cases['conv3d with stride, dilation and one-sided padding']!);
    pieces.scope(() => expect(() => ops.softmax(pieces.zeros([3, 2000]))).toThrow(/^softmax \(softmax\.forward\): binding "x" has 7\.8 KiB, the adapter binds at most 5\.0 KiB and this operand cannot be split/));
    expect(pieces.memory.liveBuffers).toBeLessThanOrEqual(before);
  });

  it('binds nothing above the limit', async () => {
    const { device } = pieces;
    const run = device.run.bind(device);
    let dispatches = 0;
    device.run = (kernel, bindings, ...rest) => {
      dispatches++;
      for (const { bytes, offset } of Object.values(bindings)) expect([bytes <= limit, offset % 256]).toEqual([true, 0]);
      run(kernel, bindings, ...rest);
    };
    await results(pieces, cases['depthwise conv3d of many channels']!);
    device.run = run;
    expect(dispatches).toBeGreaterThan(20);
  });
});

describe('copyRows', () => {
  it.each([
    ['short rows through windows', 300, 5, 7, 9, 3, 1],
    ['long rows one by one', 3, 2000, 2100, 2001, 65, 0],
    ['rows without gaps', 40, 130, 130, 130, 1, 2],
  ])('copies %s', async (_, rows, columns, fromStride, toStride, fromFirst, toFirst) => {
    const x = Float32Array.from(randomArray(fromFirst + rows * fromStride, 1));
    const expected = new Float32Array(toFirst + rows * toStride).fill(7);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) expected[toFirst + r * toStride + c] = x[fromFirst + r * fromStride + c]!;
    await pieces.scope(async () => {
      const [from, to] = [pieces.tensor(x), pieces.full([expected.length], 7)];
      copyRows(pieces.device, { buffer: from.view.buffer, offset: 4 * fromFirst, stride: 4 * fromStride }, { buffer: to.view.buffer, offset: 4 * toFirst, stride: 4 * toStride }, rows, 4 * columns);
      expect(await to.toArray()).toEqual(expected);
    });
  });
});
