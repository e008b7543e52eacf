import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { binaryBackwardReference, binaryReference } from '../../../src/autograd/ops/binary.ts';
import { concatReference } from '../../../src/autograd/ops/concat.ts';
import type { Conv3dOptions } from '../../../src/autograd/ops/conv3d-geometry.ts';
import { conv3dBackwardReference, conv3dReference } from '../../../src/autograd/ops/conv3d.ts';
import { geluDerivativeReference, geluReference } from '../../../src/autograd/ops/gelu.ts';
import { layerNormBackwardReference, layerNormReference } from '../../../src/autograd/ops/layer-norm.ts';
import { linearBackwardReference, linearReference } from '../../../src/autograd/ops/linear.ts';
import { subgroupMatrixKernel } from '../../../src/autograd/ops/matmul-kernels.ts';
import { matmulBackwardReference, matmulReference, type GemmPlan, type MatmulExtents } from '../../../src/autograd/ops/matmul.ts';
import { permuteReference } from '../../../src/autograd/ops/permute.ts';
import { scaledDotProductAttentionBackwardReference, scaledDotProductAttentionReference } from '../../../src/autograd/ops/scaled-dot-product-attention.ts';
import { sliceBackwardReference, sliceReference } from '../../../src/autograd/ops/slice.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, HALF_ROUNDING, input } from '../../support/op-test.ts';

// Operands are f16 values exactly, and references get the same: an f16 result differs from its reference by the rounding of its store
// (HALF_ROUNDING, which expectOp adds) and by what f32 has, an f32 result by the latter alone.
const engine = await testEngine();
const { device } = engine;
/** Whether the adapter's matrix units take f16 and sum in f32. */
const hasMatrixUnits = subgroupMatrixKernel(device, 'f16') !== null;
// Away from 0: what is below 6e-8 has no f16 of its own, and no relative error.
const full = { shift: 0.125 };
const half = { half: true, ...full };

describe.skipIf(!device.canF16)('in f16', () => {
  const gemmPlans: GemmPlan[] = ['rows', 'subgroup', 'vec4', 'tiled', 'subgroup-matrix'];
  const runs = (plan: GemmPlan): boolean => plan !== 'subgroup-matrix' || hasMatrixUnits;
  const products: (MatmulExtents & { what: string })[] = [
    { what: '1 x 1 x 1', m: 1, n: 1, k: 1 },
    { what: '3 x 1 x 65', m: 3, n: 1, k: 65 },
    { what: 'odd', m: 63, n: 65, k: 33, batch: 3 },
    { what: 'multiples of 4', m: 65, n: 68, k: 64 },
    { what: 'a shared b', m: 5, n: 7, k: 3, batch: 3, sharedB: true },
    { what: 'a transposed', m: 63, n: 12, k: 8, transposeA: true },
    { what: 'both transposed, a shared b', m: 9, n: 20, k: 12, batch: 2, transposeA: true, transposeB: true, sharedB: true },
    { what: 'a long k, split', m: 3, n: 4, k: 2052 },
    { what: 'several tiles of 64', m: 130, n: 129, k: 95 },
  ];
  for (const [plan, { what, ...extents }] of gemmPlans.flatMap((plan) => products.map((each) => [plan, each] as const))) {
    it.skipIf(!runs(plan))(`matmul, ${plan}: ${what}`, async () => {
      const { batch, m, n, k, transposeA, transposeB, sharedB } = extents;
      const lead = batch ? [batch] : [];
      await expectOp({
        inputs: { a: input([...lead, ...(transposeA ? [k, m] : [m, k])], 1, half), b: input([...(sharedB ? [] : lead), ...(transposeB ? [n, k] : [k, n])], 2, half) },
        run: ({ a, b }) => ops.matmul(a, b, { transposeA, transposeB, plan }),
        reference: ({ a, b }) => matmulReference(a, b, extents),
        backward: ({ a, b }, dY) => matmulBackwardReference(a, b, dY, extents),
      });
    });
  }

  it.skipIf(!hasMatrixUnits)('matmul, subgroup-matrix: an f32 result, with bias and activation, whole and split', async () => {
    await engine.scope(async () => {
      for (const k of [12, 1601]) {
        const [a, b, bias] = [input([67, k], 3, half), input([k, 9], 4, half), input([9], 5, full)];
        const sums = matmulReference(a.values, b.values, { m: 67, n: 9, k }).map((value, i) => value + bias.values[i % 9]!);
        const [left, right] = [a, b].map(({ values, shape }) => engine.tensor(Float32Array.from(values), shape, { dtype: 'f16' }));
        const y = ops.gemm(left!, right!, { bias: engine.tensor(Float32Array.from(bias.values)), activation: 'leakyRelu', slope: 0.25, dtype: 'f32', plan: 'subgroup-matrix' });
        // f16 products are exact in f32 and so are summed: as exact as the other plans in f32.
        expectClose(await y.toArray(), sums.map((sum) => (sum < 0 ? 0.25 * sum : sum)), 1e-5);
      }
    });
  });

  it.skipIf(!hasMatrixUnits || !device.canProfile)('matmul, subgroup-matrix: on the matrix units for f16 operands, nowhere else, and never unasked', async () => {
    const kernels = (dtypes: readonly ('f16' | 'f32')[], plan?: GemmPlan): Promise<string[]> =>
      engine.scope(async () => {
        const [a, b] = dtypes.map((dtype) => engine.full([65, 65], 1, { dtype }));
        return (await device.profile(() => void ops.gemm(a!, b!, { plan }))).map(({ kernel }) => kernel);
      });
    const isOnUnits = expect.stringMatching(/^matmul\.subgroup-matrix-f16-/);
    expect(await kernels(['f16', 'f16'], 'subgroup-matrix')).toContainEqual(isOnUnits);
    expect(await kernels(['f16', 'f16'])).not.toContainEqual(isOnUnits);
    for (const mixed of [['f16', 'f32'], ['f32', 'f16'], ['f32', 'f32']] as const) expect(await kernels(mixed, 'subgroup-matrix')).not.toContainEqual(isOnUnits);
  });

  it('matmul of f32 weights and f16 values gives the gradients of each in its own type', async () => {
    const extents = { m: 5, n: 63, k: 65, batch: 3 };
    await expectOp({
      inputs: { a: input([3, 5, 65], 1, full), b: input([3, 65, 63], 2, half) },
      run: ({ a, b }) => ops.matmul(a, b),
      reference: ({ a, b }) => matmulReference(a, b, extents),
      backward: ({ a, b }, dY) => matmulBackwardReference(a, b, dY, extents),
      // dB is made of f32 sums, rounded once.
    });
  });

  for (const [plan, axes, from, to] of gemmPlans.flatMap((plan) => [[plan, [], 5, 3], [plan, [1], 1, 1], [plan, [65], 63, 3], [plan, [2, 3], 8, 68], [plan, [2], 1100, 4]] as const)) {
    it.skipIf(!runs(plan))(`linear, ${plan}: [${[...axes, from]}] -> ${to}, weight and bias in f32`, async () => {
      await expectOp({
        inputs: { x: input([...axes, from], 1, half), weight: input([to, from], 2, full), bias: input([to], 3, full) },
        run: ({ x, weight, bias }) => ops.linear(x, weight, bias, { plan }),
        reference: ({ x, weight, bias }) => linearReference(x, weight, bias, from),
        backward: ({ x, weight }, dY) => linearBackwardReference(x, weight, dY, from),
      });
    });
  }

  it('linear with GELU rounds its argument too where there is a tape', async () => {
    const argument = (x: Float64Array, weight: Float64Array): Float64Array => linearReference(x, weight, null, 65);
    await expectOp({
      inputs: { x: input([63, 65], 1, half), weight: input([3, 65], 2, { scale: 0.3 }) },
      run: ({ x, weight }) => ops.linear(x, weight, null, { activation: 'gelu' }),
      reference: ({ x, weight }) => argument(x, weight).map(geluReference),
      tolerance: 1.13 * HALF_ROUNDING + 1e-5, // of the argument, times the largest derivative of GELU
    });
  });

  for (const [plan, rows, columns] of (['row', 'vectors', 'workgroup'] as const).flatMap((plan) => [[plan, 1, 1], [plan, 3, 63], [plan, 130, 65], [plan, 65, 64], [plan, 1, 3]] as const)) {
    it(`layerNorm, ${plan}: [${rows}, ${columns}], weight and bias in f32`, async () => {
      await expectOp({
        // Far from zero, so that statistics in f16 would be off by far more.
        inputs: { x: input([rows, columns], 1, { ...half, shift: 8, scale: 2, constant: columns === 1 }), weight: input([columns], 2, { ...full, constant: columns === 1 }), bias: input([columns], 3, full) },
        run: ({ x, weight, bias }) => ops.layerNorm(x, weight, bias, { plan }),
        reference: ({ x, weight, bias }) => layerNormReference(x, weight, bias, columns),
        backward: ({ x, weight }, dY) => layerNormBackwardReference(x, weight, dY, columns),
        // One column is always its own mean: the gradients of x and weight are 0, and have no relative error.
        ...(columns === 1 && { backward: (_: unknown, dY: Float64Array) => ({ bias: dY.slice() }) }),
      });
    });
  }

  it.each([1, 3, 63, 65])('gelu of %i', async (size) => {
    await expectOp({
      inputs: { x: input([size], 1, { ...half, scale: 4 }) },
      run: ({ x }) => ops.gelu(x),
      reference: ({ x }) => x.map(geluReference),
      backward: ({ x }, dY) => ({ x: x.map((value, i) => dY[i]! * geluDerivativeReference(value)) }),
    });
  });

  const pairs = [[[1], [1]], [[63, 3], [63, 3]], [[2, 65, 3], [65, 3]], [[3, 1, 5], [1, 63, 5]]] as const;
  for (const [operation, aShape, bShape] of (['add', 'sub', 'mul'] as const).flatMap((operation) => pairs.map(([a, b]) => [operation, a, b] as const))) {
    it(`${operation}: [${aShape}] and [${bShape}]`, async () => {
      await expectOp({
        inputs: { a: input(aShape, 1, half), b: input(bShape, 2, half) },
        run: ({ a, b }) => ops[operation](a, b),
        reference: ({ a, b }) => binaryReference(operation, a, aShape, b, bShape),
        backward: ({ a, b }, dY) => binaryBackwardReference(operation, a, aShape, b, bShape, dY),
        gradientTolerance: (operation === 'mul' ? HALF_ROUNDING : 0) + 1e-4, // products are rounded before they are summed over broadcast axes
      });
    });
  }

  it('add, mul, sub and div with a number', async () => {
    await expectOp({
      inputs: { x: input([63], 1, half) },
      run: ({ x }) => ops.sub(ops.mul(x, 0.5), 0.25),
      reference: ({ x }) => x.map((value) => 0.5 * value - 0.25),
      backward: (_, dY) => ({ x: dY.map((value) => 0.5 * value) }),
    });
    await expectOp({
      inputs: { x: input([63], 1, { ...half, shift: 3 }) },
      run: ({ x }) => ops.div(ops.add(x, 1), 4),
      reference: ({ x }) => x.map((value) => (value + 1) / 4),
      tolerance: HALF_ROUNDING + 1e-5, // x + 1 is rounded too
    });
    await expectOp({ inputs: { x: input([63], 1, { ...half, shift: 3 }) }, run: ({ x }) => ops.div(1, x), reference: ({ x }) => x.map((value) => 1 / value) });
  });

  // Copies round nothing: any error is a wrong place.
  it.each([[[1, 1], [1, 0]], [[3, 63, 65], [2, 0, 1]], [[2, 3, 5, 7], [0, 3, 1, 2]], [[65, 63], [1, 0]]] as const)('permute: [%s] by [%s]', async (shape, axes) => {
    await expectOp({
      inputs: { x: input(shape, 1, half) },
      run: ({ x }) => ops.permute(x, axes),
      reference: ({ x }) => permuteReference(x, shape, axes),
      backward: (_, dY) => ({ x: permuteReference(dY, axes.map((axis) => shape[axis]!), axes.map((_axis, k) => (axes as readonly number[]).indexOf(k))) }),
      tolerance: -HALF_ROUNDING,
      gradientTolerance: -HALF_ROUNDING,
    });
  });

  it.each([[[3], 0, 1, 2], [[5, 3], 1, 1, 3], [[3, 65, 3], 1, 7, 64], [[63, 7, 2], 2, 0, 1], [[65, 4, 8], 2, 4, 8], [[2, 3000], 1, 1, 2999]] as const)('slice: [%s], axis %i from %i to %i', async (shape, axis, first, last) => {
    await expectOp({
      inputs: { x: input(shape, 1, half) },
      run: ({ x }) => ops.slice(x, { dim: axis, start: first, end: last }),
      reference: ({ x }) => sliceReference(x, shape, axis, first, last),
      backward: (_, dY) => ({ x: sliceBackwardReference(shape, axis, first, last, dY) }),
      tolerance: -HALF_ROUNDING,
      gradientTolerance: -HALF_ROUNDING,
    });
  });

  it.each([[[1], [3], 0], [[63, 3], [63, 2], 1], [[3, 1, 65], [3, 2, 65], 1], [[1, 5121], [2, 5121], 0]] as const)('concat: [%s] and [%s] along axis %i', async (aShape, bShape, axis) => {
    const y = aShape.map((extent, k) => (k === axis ? extent + bShape[k]! : extent));
    await expectOp({
      inputs: { a: input(aShape, 1, half), b: input(bShape, 2, half) },
      run: ({ a, b }) => ops.concat([a, b], { dim: axis }),
      reference: ({ a, b }) => concatReference([a, b], [aShape, bShape], axis),
      backward: (_, dY) => ({ a: sliceReference(dY, y, axis, 0, aShape[axis]!), b: sliceReference(dY, y, axis, aShape[axis]!, y[axis]!) }),
      tolerance: -HALF_ROUNDING,
      gradientTolerance: -HALF_ROUNDING,
    });
  });

  const convolutions: { what: string; x: number[]; weight: number[]; options?: Conv3dOptions }[] = [
    { what: 'one voxel', x: [1, 1, 1, 1, 1], weight: [1, 1, 1, 1, 1] },
    { what: 'patchify', x: [2, 1, 4, 8, 12], weight: [17, 1, 2, 4, 4], options: { stride: [2, 4, 4] } },
    { what: 'stride 2 with padding', x: [3, 5, 7, 9, 11], weight: [12, 5, 3, 3, 3], options: { stride: 2, padding: 1 } },
    { what: 'odd extents', x: [1, 3, 3, 5, 65], weight: [7, 3, 3, 3, 3], options: { padding: 1 } },
    { what: 'depthwise, causal', x: [2, 7, 5, 4, 9], weight: [7, 1, 3, 3, 3], options: { groups: 7, padding: [[2, 0], [1, 1], [1, 1]] } },
    { what: 'a stride longer than the kernel', x: [1, 4, 7, 7, 7], weight: [4, 4, 1, 2, 2], options: { stride: 3 } },
    { what: 'a kernel of 63 on 65', x: [1, 2, 1, 1, 65], weight: [4, 2, 1, 1, 63] },
  ];
  for (const [plan, { what, x: xShape, weight: weightShape, options }] of (['plain', 'subgroup'] as const).flatMap((plan) => convolutions.map((each) => [plan, each] as const))) {
    it(`conv3d, ${plan}: ${what}, weight and bias in f32`, async () => {
      await expectOp({
        inputs: { x: input(xShape, 1, half), weight: input(weightShape, 2, full), bias: input([weightShape[0]!], 3, full) },
        run: ({ x, weight, bias }) => ops.conv3d(x, weight, bias, { ...options, plan }),
        reference: ({ x, weight, bias }) => conv3dReference(x, weight, bias, xShape, weightShape, options),
        backward: ({ x, weight }, dY) => conv3dBackwardReference(x, weight, dY, xShape, weightShape, options),
      });
    });
  }

  const attentions: { size: [number, number, number, number, number]; bias?: number[]; causal?: boolean }[] = [
    { size: [1, 1, 1, 1, 1] }, { size: [2, 3, 1, 5, 5] }, { size: [2, 2, 63, 65, 16] }, { size: [1, 3, 65, 63, 23] }, { size: [2, 1, 65, 65, 32], causal: true },
    { size: [2, 3, 9, 11, 24], bias: [2, 3, 9, 11] },
    { size: [1, 2, 200, 65, 24] }, // two blocks of queries
    { size: [70, 3, 5, 3, 7] }, // more scores than `products` holds at once where the binding limit is small
  ];
  // Of `registers` one: its kernels in f16 keep lavapipe's compiler busy for 20 s.
  for (const [plan, { size, bias, causal }] of [['registers', attentions[3]!] as const, ...attentions.flatMap((each) => [['products', each] as const, ['tile', each] as const])]) {
    it(`scaledDotProductAttention, ${plan}: [${size}]${bias ? ' with bias' : ''}${causal ? ', causal' : ''}`, async () => {
      const [batches, heads, queries, keys, headDim] = size;
      const d = { batches, heads, queries, keys, headDim };
      const options = { causal, biasShape: bias };
      await expectOp({
        inputs: {
          q: input([batches, heads, queries, headDim], 1, { ...half, scale: 3, constant: keys === 1 }), k: input([batches, heads, keys, headDim], 2, { ...half, scale: 2, constant: keys === 1 }), v: input([batches, heads, keys, headDim], 3, half),
          ...(bias && { bias: input(bias, 4, { scale: 2 }) }),
        } as Record<'q' | 'k' | 'v' | 'bias', ReturnType<typeof input>>,
        run: (x) => ops.scaledDotProductAttention(x.q, x.k, x.v, { bias: x.bias, causal, plan }),
        reference: (values) => scaledDotProductAttentionReference(values, d, options),
        // One key leaves nothing to choose: the gradients of q and k are 0, and have no relative error.
        backward: (values, dY) => (keys === 1 ? { v: dY.slice() } : scaledDotProductAttentionBackwardReference(values, dY, d, options)),
        gradientTolerance: 2 * HALF_ROUNDING, // δ = dY·y is made of y as it was rounded
      });
    });
  }

  it('widen and cast round to nearest, beyond 65504 to infinity', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const values = [0, -0, 1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20, -2049, 65504, 65519, 65520, -1e9, Infinity, 2 ** -14, 2 ** -24, 3 * 2 ** -26, 2 ** -26];
      const rounded = [0, -0, 1, 1, 1 + 2 ** -9, 1 + 2 ** -10, -2048, 65504, 65504, Infinity, -Infinity, Infinity, 2 ** -14, 2 ** -24, 2 ** -24, 0];
      const x = ops.cast(engine.tensor(values), 'f16');
      expect(x.dtype).toBe('f16');
      expect(x.bytes).toBe(2 * values.length);
      expect([...(await x.toArray())]).toEqual(rounded);
      const table = Float32Array.from({ length: 256 }, (_, i) => values[i % values.length]!);
      const wide = ops.widen(engine.tensor(Uint8Array.from([3, 1, 0, 11, 4])), engine.tensor(table), { dtype: 'f16' });
      expect([...(await wide.toArray())]).toEqual([3, 1, 0, 11, 4].map((i) => rounded[i]));
      expect(ops.cast(x, 'f16')).toBe(x);
    });
  });

  it('cast passes gradients on in the type of its input', async () => {
    await expectOp({ inputs: { x: input([65], 1) }, run: ({ x }) => ops.cast(x, 'f16'), reference: ({ x }) => x, backward: (_, dY) => ({ x: dY }) });
    await expectOp({ inputs: { x: input([3], 1, half) }, run: ({ x }) => ops.cast(x, 'f32'), reference: ({ x }) => x, backward: (_, dY) => ({ x: dY }) });
  });

  it.each([1, 3, 63, 65])('%i values go up and come back, and gradients of two uses add up', async (size) => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const x = engine.tensor(new Float32Array(size).fill(0.1), [size], { dtype: 'f16', requiresGrad: true });
      expect([...(await x.toArray())]).toEqual(new Array(size).fill(0.0999755859375));
      const y = ops.add(ops.mul(x, 3), ops.mul(x, 0.5));
      await y.backward(engine.full([size], 2, { dtype: 'f16' }));
      expect(x.grad!.dtype).toBe('f16');
      expect([...(await x.grad!.toArray())]).toEqual(new Array(size).fill(7));
      expect([...(await engine.copyOf(x).toArray())]).toEqual([...(await x.toArray())]);
    });
  });
});

it('says what takes no f16, and where the adapter has none', async () => {
  const engine = await testEngine();
  engine.scope(() => {
    const f32 = engine.zeros([4, 4]);
    if (!device.canF16) {
      expect(() => ops.cast(f32, 'f16')).toThrow('cast: f16 needs the feature "shader-f16", which the adapter');
      expect(() => engine.tensor([1], [1], { dtype: 'f16' })).toThrow('f16 needs the feature "shader-f16"');
      return;
    }
    const f16 = ops.cast(f32, 'f16');
    expect(() => ops.softmax(f16)).toThrow("softmax: x must be f32, got f16; convert it first: ops.cast(x, 'f32')");
    expect(() => ops.add(f16, f32)).toThrow("add: a and b must have one type, got f16 and f32; convert one of them: ops.cast(b, 'f16')");
    expect(() => ops.linear(f16, f16)).toThrow("linear: weight must be f32, got f16; convert it first: ops.cast(x, 'f32')");
    expect(() => ops.scaledDotProductAttention(ops.reshape(f16, [1, 1, 4, 4]), ops.reshape(f32, [1, 1, 4, 4]), ops.reshape(f16, [1, 1, 4, 4]))).toThrow("k must be f16 as q is, got f32; convert it first: ops.cast(k, 'f16')");
    expect(() => f16.write(new Float32Array(16))).toThrow('write: cannot write to f16');
    // An op that forgets to look is stopped by the device.
    expect(() => ops.weightedMean([f16], [1])).toThrow("ops.cast(x, 'f32')");
  });
});
