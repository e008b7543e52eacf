/** The kernels of matrix products, what an invocation or a workgroup of each makes, and how their dispatches are cut. */
import rowsSource from '../../../kernels/matmul.rows.wgsl';
import subgroupMatrixSource from '../../../kernels/matmul.subgroup-matrix.wgsl';
import subgroupSource from '../../../kernels/matmul.subgroup.wgsl';
import sumSplitsSource from '../../../kernels/matmul.sum-splits.wgsl';
import tiledSource from '../../../kernels/matmul.tiled.wgsl';
import transposeSource from '../../../kernels/matmul.transpose.wgsl';
import vec4Source from '../../../kernels/matmul.vec4.wgsl';
import { defineKernel, floats, type Device, type FloatType, type Kernel, type KernelSpec, type Params, type SplitAxis, type SubgroupMatrixConfig } from '../../engine/index.ts';
import { narrowedStrides } from '../split-axes.ts';

export type CpuPlan = 'rows' | 'subgroup' | 'vec4';

/** What an invocation of each CPU kernel makes. */
export const cpuTile: Record<CpuPlan, { rows: number; columns: number }> = {
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

export const cpuKernels: Record<CpuPlan, Kernel> = {
  rows: defineKernel({
    label: 'matmul.rows',
    source: rowsSource,
    inputs: ['a', 'b', 'bias'],
    outputs: ['y'],
    elements: floats('a', 'b', 'y'),
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
    elements: floats('a', 'b', 'y'),
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
    elements: floats('a', 'b', 'y'),
    params: { ...cpuParams, has_bias: 'u32' },
    constants: { LANES: 8 },
    workgroups: cpuWorkgroups('vec4'),
    split: (params) => productAxes(params, { k: 4, n: 4 }),
  }),
};

/** Rows and columns of y that a workgroup of the GPU kernels makes. */
export const gpuTile = 64;

/** What the kernels of both GPU plans have in common. */
const gpuSpec = {
  inputs: ['a', 'b', 'bias'],
  outputs: ['y'],
  elements: floats('a', 'b', 'y'),
  params: {
    m: 'u32', n: 'u32', k: 'u32', batch: 'u32', splits: 'u32', k_per_split: 'u32',
    a_batch: 'u32', b_batch: 'u32', a_row: 'u32', a_k: 'u32', b_k: 'u32', b_column: 'u32', has_bias: 'u32', slope: 'f32',
  },
  workgroups: ({ m, n, batch, splits }) => Math.ceil(m! / gpuTile) * Math.ceil(n! / gpuTile) * batch! * splits!,
  split: (params) => productAxes(params, { k: 1, n: 1 }),
} as const satisfies Partial<KernelSpec>;

export const tiledKernel = defineKernel({ ...gpuSpec, label: 'matmul.tiled', source: tiledSource, constants: { ACTIVATION: 0 } });

/** A shape of the matrix units that a kernel of `subgroup-matrix` is made for. */
interface MatrixShape extends Pick<SubgroupMatrixConfig, 'M' | 'N' | 'K'> {
  component: FloatType;
}

/**
 * The shapes that are used where an adapter has them, best first: all divide a subgroup's 32 × 32 and sum in f32. In this order for NVIDIA
 * and AMD, Intel (two), lavapipe (seen with Mesa 26.1) and, of f32, Apple. Configurations that sum in f16 or multiply integers are not used.
 */
const matrixShapes: readonly MatrixShape[] = [
  { component: 'f16', M: 16, N: 16, K: 16 },
  { component: 'f16', M: 8, N: 16, K: 16 },
  { component: 'f16', M: 8, N: 8, K: 16 },
  { component: 'f16', M: 8, N: 8, K: 8 },
  { component: 'f32', M: 8, N: 8, K: 8 },
];

/** Subgroups of a workgroup of `subgroup-matrix`, where all have the adapter's largest size. */
const subgroupsPerTile = 4;

/** The kernels of plan `subgroup-matrix`, in the order of `matrixShapes`. */
export const subgroupMatrixKernels = matrixShapes.map((shape) => ({ shape, kernel: subgroupMatrixKernelOf(shape) }));

function subgroupMatrixKernelOf({ component, M, N, K }: MatrixShape): Kernel {
  const isHalf = component === 'f16';
  const fixed = `alias component_t = ${component}; const COMPONENT_BYTES = ${isHalf ? 2 : 4}u; const MATRIX_M = ${M}u; const MATRIX_N = ${N}u; const MATRIX_K = ${K}u;`;
  return defineKernel({
    ...gpuSpec,
    label: `matmul.subgroup-matrix-${component}-${M}x${N}x${K}`,
    source: `${isHalf ? 'enable f16; ' : ''}${subgroupMatrixSource}\n${fixed}`,
    constants: { LANES: 32 * subgroupsPerTile, ACTIVATION: 0 },
    features: ['subgroups', 'chromium-experimental-subgroup-matrix' as GPUFeatureName, ...(isHalf ? (['shader-f16'] as const) : [])],
  });
}

/**
 * The kernel for the matrix units of this adapter, and how many invocations its workgroups have; null where it has none that hold the
 * operands exactly: f16 units take products of two f16, f32 units all.
 */
export function subgroupMatrixKernel(device: Pick<Device, 'gpu' | 'adapterInfo' | 'subgroupMatrixConfigs'>, operands: FloatType): { kernel: Kernel; lanes: number } | null {
  const { gpu, adapterInfo, subgroupMatrixConfigs } = device;
  const lanes = (adapterInfo.subgroupMaxSize ?? 0) * subgroupsPerTile;
  if (lanes === 0 || lanes > Math.min(gpu.limits.maxComputeInvocationsPerWorkgroup, gpu.limits.maxComputeWorkgroupSizeX)) return null;
  const offers = ({ component, M, N, K }: MatrixShape): boolean =>
    subgroupMatrixConfigs.some((config) => config.componentType === component && config.resultComponentType === 'f32' && config.M === M && config.N === N && config.K === K);
  const holds = ({ component }: MatrixShape): boolean => operands === 'f16' || component === 'f32';
  const found = subgroupMatrixKernels.find(({ shape, kernel }) => holds(shape) && offers(shape) && kernel.features!.every((feature) => gpu.features.has(feature)));
  return found ? { kernel: found.kernel, lanes } : null;
}

export const sumSplitsKernel = defineKernel({
  label: 'matmul.sum-splits',
  source: sumSplitsSource,
  inputs: ['parts', 'bias'],
  outputs: ['y'],
  elements: floats('y'),
  params: { splits: 'u32', count: 'u32', n: 'u32', has_bias: 'u32', slope: 'f32' },
  constants: { WORKGROUP_SIZE: 64, ACTIVATION: 0 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  split: ({ splits, count, n, has_bias }): SplitAxis[] => [
    { extent: count! / n!, bindings: { parts: { outer: splits! }, y: {} }, params: (_, rows) => ({ count: rows * n! }) },
    { extent: n!, bindings: { parts: { inner: 1 }, ...(has_bias && { bias: {} }), y: { inner: 1 } }, params: (_, columns) => ({ n: columns, count: (count! / n!) * columns }) },
  ],
});

const columnsPerTranspose = 16;

export const transposeKernel = defineKernel({
  label: 'matmul.transpose',
  source: transposeSource,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: { batch: 'u32', rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ batch, rows, columns }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!) * Math.ceil(columns! / columnsPerTranspose) * batch!,
  split: ({ batch, rows, columns }): SplitAxis[] => [
    { extent: batch!, bindings: { x: {}, y: {} }, params: (_, count) => ({ batch: count }) },
    { extent: rows!, bindings: { x: { outer: batch! }, y: { inner: 1 } }, params: (_, count) => ({ rows: count }) },
    { extent: columns!, bindings: { x: { inner: 1 }, y: { outer: batch! } }, params: (_, count) => ({ columns: count }) },
  ],
});
