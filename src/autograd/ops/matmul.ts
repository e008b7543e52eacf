import rowsSource from '../../../kernels/matmul.rows.wgsl';
import subgroupSource from '../../../kernels/matmul.subgroup.wgsl';
import sumSplitsSource from '../../../kernels/matmul.sum-splits.wgsl';
import tiledSource from '../../../kernels/matmul.tiled.wgsl';
import transposeSource from '../../../kernels/matmul.transpose.wgsl';
import vec4Source from '../../../kernels/matmul.vec4.wgsl';
import { check, defineKernel, formatShape, sameShape, sizeOf, type Device, type Kernel, type KernelSpec, type Params, type Shape, type SplitAxis } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { narrowedStrides } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { columnSum } from './column-sum.ts';

export interface MatmulOptions {
  /** `a` is given as [..., K, M]. */
  transposeA?: boolean;
  /** `b` is given as [..., N, K]. */
  transposeB?: boolean;
}

/** How a product is computed: `rows`, `subgroup` and `vec4` on CPU adapters, `tiled` on GPUs. */
export type GemmPlan = CpuPlan | 'tiled';
type CpuPlan = 'rows' | 'subgroup' | 'vec4';
export type GemmActivation = 'none' | 'gelu' | 'leakyRelu';

export interface GemmOptions extends MatmulOptions {
  /** [N], added to every row. */
  bias?: Tensor | null;
  /** Applied to the sum with its bias. Default: none. */
  activation?: GemmActivation;
  /** Slope of leakyRelu below zero. */
  slope?: number;
  /** Overrides the adapter's plan (for tests and benches). `subgroup` and `vec4` still fall back to `rows` where they cannot run. */
  plan?: GemmPlan;
}

/** PyTorch's default slope of LeakyReLU. */
export const defaultSlope = 0.01;

const activationNumber: Record<GemmActivation, number> = { none: 0, gelu: 1, leakyRelu: 2 };

/** What an invocation of each CPU kernel makes. */
const cpuTile: Record<CpuPlan, { rows: number; columns: number }> = {
  rows: { rows: 8, columns: 4 },
  subgroup: { rows: 16, columns: 4 },
  vec4: { rows: 8, columns: 8 },
};

const cpuParams = { m: 'u32', n: 'u32', k: 'u32', batch: 'u32', splits: 'u32', k_per_split: 'u32', a_batch: 'u32', b_batch: 'u32' } as const;

function cpuWorkgroups(plan: CpuPlan): KernelSpec['workgroups'] {
  const { rows, columns } = cpuTile[plan];
  return ({ m, n, batch, splits }, { LANES }) => Math.ceil(m! / rows) * Math.ceil(n! / (columns * LANES!)) * batch! * splits!;
}

/**
 * The axes along which a product can be cut: matrices, rows, columns, and k, whose pieces are added up (the bias by the first; an
 * activation is left to `sumSplitsKernel`). `vector`: elements along k and n that the kernel reads at once.
 */
function productAxes(params: Record<string, number>, vector: { k: number; n: number }): SplitAxis[] {
  const { m, n, k, batch, splits, a_batch, b_batch, has_bias } = params as Record<(typeof axisNames)[number], number>;
  const { a_row = k, a_k = 1, b_k = n, b_column = 1 } = params;
  const ofParams = (changed: Record<string, number>): Params => Object.fromEntries(Object.entries(changed).filter(([name]) => name in params));
  const narrowedA = (inner: number, extent: number, count: number): Params => {
    const [batchStride, row, step] = narrowedStrides([a_batch, a_row, a_k], inner, extent, count);
    return ofParams({ a_batch: batchStride!, a_row: row!, a_k: step! });
  };
  const narrowedB = (inner: number, extent: number, count: number): Params => {
    const [batchStride, step, column] = narrowedStrides([b_batch, b_k, b_column], inner, extent, count);
    return ofParams({ b_batch: batchStride!, b_k: step!, b_column: column! });
  };
  const axes: SplitAxis[] = [
    { extent: batch, bindings: { ...(a_batch && { a: {} }), ...(b_batch && { b: {} }), y: { outer: splits } }, params: (_, count) => ({ batch: count }) },
    { extent: m, bindings: { a: { inner: a_row }, y: { outer: splits * batch } }, params: (_, count) => ({ m: count, ...narrowedA(a_row, m, count) }) },
    {
      extent: n,
      unit: vector.n,
      bindings: { b: { inner: b_column }, ...(has_bias && { bias: {} }), y: { inner: 1 } },
      params: (_, count) => ({ n: count, ...narrowedB(b_column, n, count) }),
    },
  ];
  if (splits > 1) return axes;
  const pieceOfK = (first: number, count: number): Params => ({ k: count, k_per_split: count, has_bias: first > 0 ? 0 : has_bias, ...narrowedA(a_k, k, count), ...narrowedB(b_k, k, count) });
  return [...axes, { extent: k, unit: vector.k, bindings: { a: { inner: a_k }, b: { inner: b_k } }, params: pieceOfK, sums: ['y'] }];
}

const axisNames = ['m', 'n', 'k', 'batch', 'splits', 'a_batch', 'b_batch', 'has_bias'] as const;

const cpuKernels: Record<CpuPlan, Kernel> = {
  rows: defineKernel({
    label: 'matmul.rows',
    source: rowsSource,
    inputs: ['a', 'b', 'bias'],
    outputs: ['y'],
    params: { ...cpuParams, a_row: 'u32', a_k: 'u32', has_bias: 'u32' },
    constants: { LANES: 32 },
    workgroups: cpuWorkgroups('rows'),
    split: (params) => productAxes(params, { k: 1, n: 1 }),
  }),
  subgroup: defineKernel({
    label: 'matmul.subgroup',
    source: subgroupSource,
    inputs: ['a', 'b', 'bias'],
    outputs: ['y'],
    params: { ...cpuParams, has_bias: 'u32' },
    constants: { LANES: 8 },
    workgroups: cpuWorkgroups('subgroup'),
    split: (params) => productAxes(params, { k: 4, n: 1 }),
    features: ['subgroups'],
  }),
  vec4: defineKernel({
    label: 'matmul.vec4',
    source: vec4Source,
    inputs: ['a', 'b', 'bias'],
    outputs: ['y'],
    params: { ...cpuParams, has_bias: 'u32' },
    constants: { LANES: 8 },
    workgroups: cpuWorkgroups('vec4'),
    split: (params) => productAxes(params, { k: 4, n: 4 }),
  }),
};

const gpuTile = 64;

const tiledKernel = defineKernel({
  label: 'matmul.tiled',
  source: tiledSource,
  inputs: ['a', 'b', 'bias'],
  outputs: ['y'],
  params: {
    m: 'u32', n: 'u32', k: 'u32', batch: 'u32', splits: 'u32', k_per_split: 'u32',
    a_batch: 'u32', b_batch: 'u32', a_row: 'u32', a_k: 'u32', b_k: 'u32', b_column: 'u32', has_bias: 'u32', slope: 'f32',
  },
  constants: { ACTIVATION: 0 },
  workgroups: ({ m, n, batch, splits }) => Math.ceil(m! / gpuTile) * Math.ceil(n! / gpuTile) * batch! * splits!,
  split: (params) => productAxes(params, { k: 1, n: 1 }),
});

const sumSplitsKernel = defineKernel({
  label: 'matmul.sum-splits',
  source: sumSplitsSource,
  inputs: ['parts', 'bias'],
  outputs: ['y'],
  params: { splits: 'u32', count: 'u32', n: 'u32', has_bias: 'u32', slope: 'f32' },
  constants: { WORKGROUP_SIZE: 64, ACTIVATION: 0 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  split: ({ splits, count, n, has_bias }): SplitAxis[] => [
    { extent: count! / n!, bindings: { parts: { outer: splits! }, y: {} }, params: (_, rows) => ({ count: rows * n! }) },
    { extent: n!, bindings: { parts: { inner: 1 }, ...(has_bias && { bias: {} }), y: { inner: 1 } }, params: (_, columns) => ({ n: columns, count: (count! / n!) * columns }) },
  ],
});

const columnsPerTranspose = 16;

const transposeKernel = defineKernel({
  label: 'matmul.transpose',
  source: transposeSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { batch: 'u32', rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ batch, rows, columns }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!) * Math.ceil(columns! / columnsPerTranspose) * batch!,
  split: ({ batch, rows, columns }): SplitAxis[] => [
    { extent: batch!, bindings: { x: {}, y: {} }, params: (_, count) => ({ batch: count }) },
    { extent: rows!, bindings: { x: { outer: batch! }, y: { inner: 1 } }, params: (_, count) => ({ rows: count }) },
    { extent: columns!, bindings: { x: { inner: 1 }, y: { outer: batch! } }, params: (_, count) => ({ columns: count }) },
  ],
});

/**
 * Matrix product over the last two axes: y = op(a) op(b).
 *
 * `a` [..., M, K], `b` [..., K, N] with the same leading axes, or [K, N], which every matrix of `a` then shares; with
 * `transposeA` / `transposeB` the operand's last two axes are given the other way round. Result [..., M, N]. Saves a and b where
 * the other's gradient is needed. Gradients: a, b (a shared b's is summed over the matrices).
 * Throws where extents do not meet or a rank is below 2.
 */
export const matmul = defineOp('matmul', (a: Tensor, b: Tensor, { transposeA = false, transposeB = false, plan }: MatmulOptions & { plan?: GemmPlan } = {}): Tensor => {
  check(b.rank === 2 || b.rank === a.rank, 'matmul', () => `b must have the leading axes of a ${formatShape(a.shape)} or none, got ${formatShape(b.shape)}`);
  const y = gemm(a, b, { transposeA, transposeB, plan });
  return record(y, 'matmul', [a, b], { a: b.requiresGrad ? a : null, b: a.requiresGrad ? b : null }, (dY, saved, [needsA, needsB]) => [
    needsA ? gradientOfA(saved.b!, dY, a.shape, transposeA, transposeB, plan) : null,
    needsB ? gradientOfB(saved.a!, dY, b.shape, transposeA, transposeB, plan) : null,
  ]);
});

function gradientOfA(b: Tensor, dY: Tensor, shape: Shape, transposeA: boolean, transposeB: boolean, plan?: GemmPlan): Tensor {
  const dA = transposeA ? gemm(b, dY, { transposeA: transposeB, transposeB: true, plan }) : gemm(dY, b, { transposeB: !transposeB, plan });
  return dA.alias(shape);
}

function gradientOfB(a: Tensor, dY: Tensor, shape: Shape, transposeA: boolean, transposeB: boolean, plan?: GemmPlan): Tensor {
  const shared = shape.length === 2;
  // The sum over the matrices is a longer k: rows of all matrices together.
  const [left, right] = shared && !transposeA ? [stackRows(a), stackRows(dY)] : [a, dY];
  const dB = transposeB ? gemm(right, left, { transposeA: true, transposeB: transposeA, plan }) : gemm(left, right, { transposeA: !transposeA, plan });
  return shared && dB.rank > 2 ? columnSum(dB, dB.size / sizeOf(shape), sizeOf(shape)).alias(shape) : dB.alias(shape);
}

function stackRows(x: Tensor): Tensor {
  const columns = x.shape.at(-1)!;
  return x.alias([x.size / columns, columns]);
}

interface Problem {
  batch: number;
  m: number;
  n: number;
  k: number;
  /** Elements from one matrix to the next; 0 where all share one. */
  aBatch: number;
  bBatch: number;
}

/**
 * y = activation(op(a) op(b) + bias) without a tape: the product under every op and its backward pass. Shapes as `matmul`; here
 * either operand may be a single matrix that the other's matrices share. What it allocates besides y belongs to the caller's op.
 */
export function gemm(a: Tensor, b: Tensor, options: GemmOptions = {}): Tensor {
  const { engine } = a;
  const op = engine.device.currentOp;
  const { transposeA = false, transposeB = false, bias = null } = options;
  checkDType(a, op, 'a');
  checkDType(b, op, 'b');
  const { problem, shape } = describe(a, b, transposeA, transposeB, op);
  if (bias) checkTensor(bias, op, 'bias', [problem.n]);
  const plan = choosePlan(engine.device, problem, options.plan);
  const y = engine.empty(shape);
  if (plan === 'tiled') runTiled(a, b, y, problem, options);
  else runOnCpu(plan, a, b, y, problem, options);
  return y;
}

/** The plan that was fastest on this kind of adapter (the kernels' headers say why), where it can run; else `rows`. */
function choosePlan(device: Device, { n, k }: Problem, wanted: GemmPlan = adapterPlan(device)): GemmPlan {
  if (wanted === 'vec4') return k % 4 || n % 4 ? 'rows' : 'vec4';
  if (wanted === 'subgroup') return k % 4 || !hasSubgroupsOf8(device) ? 'rows' : 'subgroup';
  return wanted;
}

function adapterPlan(device: Device): GemmPlan {
  if (!device.isSoftware) return 'tiled';
  const { architecture, device: name, description } = device.adapterInfo;
  return /swiftshader/i.test(`${architecture} ${name} ${description}`) ? 'vec4' : 'subgroup';
}

/** True on CPU adapters where a broadcast in a subgroup of 8 or more is cheaper than a load (lavapipe). */
export function broadcastsInRegisters(device: Device): boolean {
  return adapterPlan(device) === 'subgroup' && hasSubgroupsOf8(device);
}

function hasSubgroupsOf8({ gpu, adapterInfo }: Device): boolean {
  return gpu.features.has('subgroups') && (adapterInfo.subgroupMinSize ?? 0) >= 8;
}

function describe(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, op: string): { problem: Problem; shape: Shape } {
  check(a.rank >= 2 && b.rank >= 2, op, () => `a matrix product takes tensors of rank 2 or more, got ${formatShape(a.shape)} and ${formatShape(b.shape)}; add an axis of 1`);
  const [m, k] = matrixOf(a, transposeA);
  const [kOfB, n] = matrixOf(b, transposeB);
  const of = (name: string, x: Tensor, transposed: boolean): string => `${name} ${formatShape(x.shape)}${transposed ? ' transposed' : ''}`;
  check(k === kOfB, op, () => `the inner extents must agree, got ${k} in ${of('a', a, transposeA)} and ${kOfB} in ${of('b', b, transposeB)}`);
  const aAxes = a.shape.slice(0, -2);
  const bAxes = b.shape.slice(0, -2);
  const bShared = bAxes.length === 0;
  const aShared = aAxes.length === 0 && !bShared;
  check(aShared || bShared || sameShape(aAxes, bAxes), op, () => `leading axes must be equal or absent, got a ${formatShape(a.shape)} and b ${formatShape(b.shape)}`);
  const axes = aShared ? bAxes : aAxes;
  const batch = sizeOf(axes);
  const shape = [...axes, m, n];
  const folds = bShared && !transposeA;
  if (folds) return { problem: { batch: 1, m: batch * m, n, k, aBatch: 0, bBatch: 0 }, shape };
  return { problem: { batch, m, n, k, aBatch: aShared ? 0 : m * k, bBatch: bShared ? 0 : k * n }, shape };
}

function matrixOf(x: Tensor, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

function runTiled(a: Tensor, b: Tensor, y: Tensor, problem: Problem, options: GemmOptions): void {
  const { batch, m, n, k, aBatch, bBatch } = problem;
  const tiles = Math.ceil(m / gpuTile) * Math.ceil(n / gpuTile) * batch;
  const strides = {
    ...(options.transposeA ? { a_row: 1, a_k: m } : { a_row: k, a_k: 1 }),
    ...(options.transposeB ? { b_k: 1, b_column: k } : { b_k: n, b_column: 1 }),
  };
  const dimensions = { m, n, k, batch, a_batch: aBatch, b_batch: bBatch, ...strides };
  runSplit(tiledKernel, { a, b }, y, dimensions, splitsFor(k, tiles, gpuSplitting), {}, options);
}

function runOnCpu(plan: CpuPlan, a: Tensor, b: Tensor, y: Tensor, problem: Problem, options: GemmOptions): void {
  const { batch, m, n, k, aBatch, bBatch } = problem;
  const right = options.transposeB ? transposed(b) : b;
  // matmul.rows reads a through strides: eight neighbours of one k at once, as fast as along k.
  const isStrided = plan === 'rows' && options.transposeA;
  const left = options.transposeA && !isStrided ? transposed(a) : a;
  const { rows, columns } = cpuTile[plan];
  const lanes = plan === 'subgroup' ? 8 : lanesFor(n, columns);
  const tiles = Math.ceil(m / rows) * Math.ceil(n / (columns * lanes)) * batch;
  const strides: Record<string, number> = plan === 'rows' ? (isStrided ? { a_row: 1, a_k: m } : { a_row: k, a_k: 1 }) : {};
  const dimensions = { m, n, k, batch, a_batch: aBatch, b_batch: bBatch, ...strides };
  runSplit(cpuKernels[plan], { a: left, b: right }, y, dimensions, splitsFor(k, tiles, cpuSplitting), { LANES: lanes }, options);
}

/** Lanes of a workgroup: as many as leave few of them beyond the last column. */
function lanesFor(n: number, columns: number): number {
  const most = 128 / columns;
  const waste = (lanes: number): number => Math.ceil(n / (columns * lanes)) * lanes;
  return [most, most / 2, most / 4].reduce((best, lanes) => (waste(lanes) < waste(best) ? lanes : best));
}

interface Splitting {
  /** Workgroups that keep the adapter busy. */
  workgroups: number;
  /** Least extent of k that is worth a split. */
  leastK: number;
}

const gpuSplitting: Splitting = { workgroups: 256, leastK: 128 };
const cpuSplitting: Splitting = { workgroups: 16, leastK: 512 };

/** Into how many stretches k is cut: one, unless the tiles of y alone leave the adapter idle. */
function splitsFor(k: number, tiles: number, { workgroups, leastK }: Splitting): number {
  return Math.max(1, Math.min(Math.ceil(workgroups / tiles), Math.floor(k / leastK)));
}

function runSplit(
  kernel: Kernel,
  operands: { a: Tensor; b: Tensor },
  y: Tensor,
  dimensions: Record<string, number> & { m: number; n: number; k: number; batch: number },
  wantedSplits: number,
  constants: Record<string, number>,
  { bias, activation = 'none', slope = defaultSlope }: GemmOptions,
): void {
  const { engine } = y;
  const { device } = engine;
  const { n, k } = dimensions;
  const oversized = Math.max(operands.a.bytes, operands.b.bytes, y.bytes) > device.bindingLimit;
  const kPerSplit = oversized ? k : Math.ceil(k / wantedSplits / 16) * 16;
  const splits = Math.ceil(k / kPerSplit);
  const sizes = { ...dimensions, splits, k_per_split: kPerSplit };
  const ACTIVATION = activationNumber[activation];
  // CPU plans leave an activation to the second pass: there a pass costs nothing beside the product, compiling it in costs seconds.
  const fuses = kernel === tiledKernel;
  const noBias = oversized ? engine.zeros([4]) : operands.b; // a kernel may bind it as one vec4
  if (splits === 1 && ((fuses && !oversized) || activation === 'none')) {
    const epilogue: Params = fuses ? { has_bias: bias ? 1 : 0, slope } : { has_bias: bias ? 1 : 0 };
    runKernel(kernel, { ...operands, bias: bias ?? noBias, y }, { ...sizes, ...epilogue }, fuses ? { ...constants, ACTIVATION } : constants);
    return;
  }
  const parts = engine.empty([splits, ...y.shape]);
  runKernel(kernel, { ...operands, bias: noBias, y: parts }, { ...sizes, has_bias: 0, ...(fuses ? { slope: 0 } : {}) }, constants);
  runKernel(sumSplitsKernel, { parts, bias: bias ?? (parts.bytes > device.bindingLimit ? engine.zeros([1]) : parts), y }, { splits, count: y.size, n, has_bias: bias ? 1 : 0, slope }, { ACTIVATION });
  parts.dispose();
}

/** x [..., R, C] with its last two axes exchanged. No gradient. */
export function transposed(x: Tensor): Tensor {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  const axes = x.shape.slice(0, -2);
  if (rows === 1 || columns === 1) return x.alias([...axes, columns, rows]);
  const y = x.engine.empty([...axes, columns, rows]);
  runKernel(transposeKernel, { x, y }, { batch: sizeOf(axes), rows, columns });
  return y;
}

export interface MatmulExtents {
  batch?: number;
  m: number;
  n: number;
  k: number;
  transposeA?: boolean;
  transposeB?: boolean;
  /** b is one matrix for the whole batch. */
  sharedB?: boolean;
}

/** Calls `visit` with the flat indices of every product that makes up y: y[iY] += a[iA]·b[iB]. */
function eachProduct({ batch = 1, m, n, k, transposeA, transposeB, sharedB }: MatmulExtents, visit: (iY: number, iA: number, iB: number) => void): void {
  for (let matrix = 0; matrix < batch; matrix++) {
    const aStart = matrix * m * k;
    const bStart = sharedB ? 0 : matrix * k * n;
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        for (let step = 0; step < k; step++) {
          const iA = transposeA ? step * m + row : row * k + step;
          const iB = transposeB ? column * k + step : step * n + column;
          visit((matrix * m + row) * n + column, aStart + iA, bStart + iB);
        }
      }
    }
  }
}

/** Float64 reference of `matmul` and `gemm` on flat arrays. Plain loops, for tests. */
export function matmulReference(a: Float64Array, b: Float64Array, extents: MatmulExtents): Float64Array {
  const y = new Float64Array((extents.batch ?? 1) * extents.m * extents.n);
  eachProduct(extents, (iY, iA, iB) => {
    y[iY]! += a[iA]! * b[iB]!;
  });
  return y;
}

/** Gradients of `matmulReference` with respect to a and b. */
export function matmulBackwardReference(a: Float64Array, b: Float64Array, dY: Float64Array, extents: MatmulExtents): { a: Float64Array; b: Float64Array } {
  const dA = new Float64Array(a.length);
  const dB = new Float64Array(b.length);
  eachProduct(extents, (iY, iA, iB) => {
    dA[iA]! += dY[iY]! * b[iB]!;
    dB[iB]! += dY[iY]! * a[iA]!;
  });
  return { a: dA, b: dB };
}
