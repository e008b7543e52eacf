import { check, formatShape, sameShape, sizeOf, type Device, type FloatType, type Kernel, type Params, type Shape } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, floatType, runKernel } from '../op.ts';
import type { PlanDecision } from '../plan-table.ts';
import { record } from '../tape.ts';
import { Tensor } from '../tensor.ts';
import { converted } from './cast.ts';
import { columnSum } from './column-sum.ts';
import { cpuKernels, cpuTile, gpuTile, subgroupMatrixKernel, sumSplitsKernel, tiledKernel, transposeKernel, type CpuPlan } from './matmul-kernels.ts';

export interface MatmulOptions {
  /** `a` is given as [..., K, M]. */
  transposeA?: boolean;
  /** `b` is given as [..., N, K]. */
  transposeB?: boolean;
}

/** How a product is computed: `rows`, `subgroup` and `vec4` on CPU adapters, `tiled` on GPUs, `subgroup-matrix` on GPUs with matrix units. */
export type GemmPlan = CpuPlan | 'tiled' | 'subgroup-matrix';
export type GemmActivation = 'none' | 'gelu' | 'leakyRelu';

export interface GemmOptions extends MatmulOptions {
  /** [N], added to every row. */
  bias?: Tensor | null;
  /** Applied to the sum with its bias. Default: none. */
  activation?: GemmActivation;
  /** Slope of leakyRelu below zero. */
  slope?: number;
  /** Type of the result. Default: that of `a`. */
  dtype?: FloatType;
  /**
   * Overrides the adapter's plan (for tests and benches). Where they cannot run, `subgroup` and `vec4` still fall back to `rows`, and
   * `subgroup-matrix` to the adapter's plan.
   */
  plan?: GemmPlan;
}

/** PyTorch's default slope of LeakyReLU. */
export const defaultSlope = 0.01;

const activationNumber: Record<GemmActivation, number> = { none: 0, gelu: 1, leakyRelu: 2 };

/**
 * Matrix product over the last two axes: y = op(a) op(b).
 *
 * `a` [..., M, K], `b` [..., K, N] with the same leading axes, or [K, N], which every matrix of `a` then shares; with
 * `transposeA` / `transposeB` the operand's last two axes are given the other way round. Result [..., M, N], in the type of a. Saves a
 * and b where the other's gradient is needed. Gradients: a, b (a shared b's is summed over the matrices).
 * Throws where extents do not meet or a rank is below 2.
 */
export const matmul = defineOp('matmul', (a: Tensor, b: Tensor, { transposeA = false, transposeB = false, plan }: MatmulOptions & { plan?: GemmPlan } = {}): Tensor => {
  check(b.rank === 2 || b.rank === a.rank, 'matmul', () => `b must have the leading axes of a ${formatShape(a.shape)} or none, got ${formatShape(b.shape)}`);
  const y = gemm(a, b, { transposeA, transposeB, plan });
  return record(y, 'matmul', [a, b], { a: b.requiresGrad ? a : null, b: a.requiresGrad ? b : null }, (dY, saved, [needsA, needsB]) => [
    needsA ? gradientOfA(saved.b!, dY, a, transposeA, transposeB, plan) : null,
    needsB ? gradientOfB(saved.a!, dY, b, transposeA, transposeB, plan) : null,
  ]);
});

function gradientOfA(b: Tensor, dY: Tensor, like: TensorType, transposeA: boolean, transposeB: boolean, plan?: GemmPlan): Tensor {
  const dtype = like.dtype as FloatType;
  const dA = transposeA ? gemm(b, dY, { transposeA: transposeB, transposeB: true, dtype, plan }) : gemm(dY, b, { transposeB: !transposeB, dtype, plan });
  return dA.alias(like.shape);
}

/** Where the sum over the matrices takes a second pass, what it adds up is f32. */
function gradientOfB(a: Tensor, dY: Tensor, like: TensorType, transposeA: boolean, transposeB: boolean, plan?: GemmPlan): Tensor {
  const { shape } = like;
  const own = like.dtype as FloatType;
  const shared = shape.length === 2;
  // The sum over the matrices is a longer k: rows of all matrices together.
  const [left, right] = shared && !transposeA ? [stackRows(a), stackRows(dY)] : [a, dY];
  const dtype = shared && left.rank > 2 ? 'f32' : own;
  const dB = transposeB ? gemm(right, left, { transposeA: true, transposeB: transposeA, dtype, plan }) : gemm(left, right, { transposeA: !transposeA, dtype, plan });
  return shared && dB.rank > 2 ? converted(columnSum(dB, dB.size / sizeOf(shape), sizeOf(shape)), own).alias(shape) : dB.alias(shape);
}

type TensorType = Pick<Tensor, 'shape' | 'dtype'>;

/** What a decision may hold on to: not the tensor. */
function typeOf({ shape, dtype }: Tensor): TensorType {
  return { shape, dtype };
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
  /** The least type that holds both operands. */
  operands: FloatType;
}

/**
 * y = activation(op(a) op(b) + bias) without a tape: the product under every op and its backward pass. Shapes as `matmul`; here
 * either operand may be a single matrix that the other's matrices share. Operands and result are f32 or f16 each; sums, and what splits
 * of k leave to be added up, are f32. What it allocates besides y belongs to the caller's op.
 */
export function gemm(a: Tensor, b: Tensor, options: GemmOptions = {}): Tensor {
  const { engine } = a;
  const op = engine.device.currentOp;
  const { transposeA = false, transposeB = false, bias = null } = options;
  const { dtype = floatType(a, op, 'a') } = options;
  floatType(b, op, 'b');
  const { problem, shape } = describe(a, b, transposeA, transposeB, op);
  if (bias) {
    checkTensor(bias, op, 'bias', [problem.n]);
    checkDType(bias, op, 'bias');
  }
  const isSingle = [a.dtype, b.dtype, dtype].every((type) => type === 'f32');
  const isMeasurable = !options.plan && (isSingle || hasSubgroupMatrix(engine.device, problem));
  const fixed = choosePlan(engine.device, problem, options.plan);
  const plan = isMeasurable ? engine.plans.choose(fixed, () => gemmDecision(engine.device, typeOf(a), typeOf(b), problem, { ...options, dtype })) : fixed;
  const y = engine.empty(shape, dtype);
  if (plan === 'tiled') runOnGpu(tiledKernel, {}, a, b, y, problem, options);
  else if (plan === 'subgroup-matrix') runOnMatrixUnits(a, b, y, problem, options);
  else runOnCpu(plan, a, b, y, problem, options);
  return y;
}

/** The plan that was fastest on this kind of adapter (the kernels' headers say why), where it can run; else `rows`. */
function choosePlan(device: Device, problem: Problem, wanted: GemmPlan = adapterPlan(device)): GemmPlan {
  const { n, k } = problem;
  if (wanted === 'vec4') return k % 4 || n % 4 ? 'rows' : 'vec4';
  if (wanted === 'subgroup') return k % 4 || !hasSubgroupsOf8(device) ? 'rows' : 'subgroup';
  if (wanted === 'subgroup-matrix') return hasSubgroupMatrix(device, problem) ? wanted : choosePlan(device, problem);
  return wanted;
}

function hasSubgroupMatrix(device: Device, { operands }: Problem): boolean {
  return device.subgroupMatrixConfigs.length > 0 && subgroupMatrixKernel(device, operands) !== null;
}

function gemmDecision(device: Device, a: TensorType, b: TensorType, problem: Problem, { transposeA, transposeB, activation = 'none', slope, dtype }: GemmOptions): PlanDecision<GemmPlan> {
  const { batch, m, n, k } = problem;
  const fixed = choosePlan(device, problem);
  const possible = (['subgroup', 'vec4', 'rows', 'tiled', 'subgroup-matrix'] as const).filter((plan) => plan !== fixed && choosePlan(device, problem, plan) === plan);
  const types = [a.dtype, b.dtype, dtype];
  return {
    op: 'matmul',
    variant: `${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}${activation === 'none' ? '' : ' activated'}${types.every((type) => type === 'f32') ? '' : ` ${types.join(' ')}`}`,
    extents: { batch, m, n, k },
    plans: [fixed, ...possible],
    trial: (operand) => {
      const [left, right] = [a, b].map(({ shape, dtype }) => converted(operand(shape), dtype as FloatType)) as [Tensor, Tensor];
      return (plan) => [gemm(left, right, { transposeA, transposeB, activation, slope, dtype, plan })];
    },
  };
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

export function hasSubgroupsOf8({ gpu, adapterInfo }: Device): boolean {
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
  const operands = a.dtype === 'f16' && b.dtype === 'f16' ? 'f16' : 'f32';
  const folds = bShared && !transposeA;
  if (folds) return { problem: { batch: 1, m: batch * m, n, k, aBatch: 0, bBatch: 0, operands }, shape };
  return { problem: { batch, m, n, k, aBatch: aShared ? 0 : m * k, bBatch: bShared ? 0 : k * n, operands }, shape };
}

function matrixOf(x: Tensor, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

function runOnGpu(kernel: Kernel, constants: Record<string, number>, a: Tensor, b: Tensor, y: Tensor, problem: Problem, options: GemmOptions): void {
  const { batch, m, n, k, aBatch, bBatch } = problem;
  const tiles = Math.ceil(m / gpuTile) * Math.ceil(n / gpuTile) * batch;
  const strides = {
    ...(options.transposeA ? { a_row: 1, a_k: m } : { a_row: k, a_k: 1 }),
    ...(options.transposeB ? { b_k: 1, b_column: k } : { b_k: n, b_column: 1 }),
  };
  const dimensions = { m, n, k, batch, a_batch: aBatch, b_batch: bBatch, ...strides };
  runSplit(kernel, { a, b }, y, dimensions, splitsFor(k, tiles, gpuSplitting), constants, options);
}

function runOnMatrixUnits(a: Tensor, b: Tensor, y: Tensor, problem: Problem, options: GemmOptions): void {
  const { kernel, lanes } = subgroupMatrixKernel(y.engine.device, problem.operands)!;
  runOnGpu(kernel, { LANES: lanes }, a, b, y, problem, options);
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
  const fuses = kernel.constants?.ACTIVATION !== undefined;
  const noBias = oversized ? engine.zeros([4]) : asF32(operands.b); // a kernel may bind it as one vec4
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

/** Some memory as f32 for a binding that is not read: that of `x`, whatever it holds. */
function asF32(x: Tensor): Tensor {
  return x.dtype === 'f32' ? x : new Tensor(x.engine, [Math.max(1, Math.floor(x.size / 2))], 'f32', x);
}

/** x [..., R, C] with its last two axes exchanged. No gradient. */
export function transposed(x: Tensor): Tensor {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  const axes = x.shape.slice(0, -2);
  if (rows === 1 || columns === 1) return x.alias([...axes, columns, rows]);
  const y = x.engine.empty([...axes, columns, rows], x.dtype);
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
