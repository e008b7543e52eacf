import backwardAffineVectorsSource from '../../../kernels/layer-norm.backward-affine-vectors.wgsl';
import backwardAffineSource from '../../../kernels/layer-norm.backward-affine.wgsl';
import backwardInputRowsSource from '../../../kernels/layer-norm.backward-input-rows.wgsl';
import backwardInputVectorsSource from '../../../kernels/layer-norm.backward-input-vectors.wgsl';
import backwardInputSource from '../../../kernels/layer-norm.backward-input.wgsl';
import forwardRowsSource from '../../../kernels/layer-norm.forward-rows.wgsl';
import forwardVectorsSource from '../../../kernels/layer-norm.forward-vectors.wgsl';
import forwardSource from '../../../kernels/layer-norm.forward.wgsl';
import { defineKernel, floats, type Device } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, floatType } from '../op.ts';
import { runPlanned, type PlannedKernels } from '../run-planned.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { chunkedAxes, columnSum, rowChunks } from './column-sum.ts';
import { byRow } from './row-plan.ts';

export interface LayerNormOptions {
  /** Added to the variance. Default 1e-5, as PyTorch's. */
  eps?: number;
  /** Chosen by the adapter unless given (for tests). */
  plan?: LayerNormPlan;
}

const forwardKernel = defineKernel({
  label: 'layer-norm.forward',
  source: forwardSource,
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y', 'mean', 'rstd'],
  elements: floats('x', 'y'),
  params: { rows: 'u32', columns: 'u32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['x', 'y', 'mean', 'rstd'] },
});

const backwardInputKernel = defineKernel({
  label: 'layer-norm.backward-input',
  source: backwardInputSource,
  inputs: ['x', 'weight', 'mean', 'rstd', 'dy'],
  outputs: ['dx'],
  elements: floats('x', 'dy', 'dx'),
  params: { rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['x', 'mean', 'rstd', 'dy', 'dx'] },
});

const forwardRowsKernel = defineKernel({ ...forwardKernel, ...byRow, label: 'layer-norm.forward-rows', source: forwardRowsSource });
const backwardInputRowsKernel = defineKernel({ ...backwardInputKernel, ...byRow, label: 'layer-norm.backward-input-rows', source: backwardInputRowsSource });

const byVectors = { ...byRow, constants: { WORKGROUP_SIZE: 8 } };
const forwardVectorsKernel = defineKernel({ ...forwardKernel, ...byVectors, label: 'layer-norm.forward-vectors', source: forwardVectorsSource });
const backwardInputVectorsKernel = defineKernel({ ...backwardInputKernel, ...byVectors, label: 'layer-norm.backward-input-vectors', source: backwardInputVectorsSource });

/** Which invocations take a row: a whole workgroup, or one alone (adapters on the CPU), four columns at a time or, where they are no multiple of 4, one. */
export type LayerNormPlan = 'row' | 'vectors' | 'workgroup';

const backwardAffineKernel = defineKernel({
  label: 'layer-norm.backward-affine',
  source: backwardAffineSource,
  inputs: ['x', 'mean', 'rstd', 'dy'],
  outputs: ['d_weight', 'd_bias'],
  elements: floats('x', 'dy'),
  params: { rows: 'u32', columns: 'u32', rows_per_chunk: 'u32', chunks: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ columns, chunks }, { WORKGROUP_SIZE }) => Math.ceil((columns! * chunks!) / WORKGROUP_SIZE!),
  split: (params) => chunkedAxes(params, ['x', 'dy'], ['mean', 'rstd'], ['d_weight', 'd_bias']),
});

const backwardAffineVectorsKernel = defineKernel({
  ...backwardAffineKernel,
  label: 'layer-norm.backward-affine-vectors',
  source: backwardAffineVectorsSource,
  constants: { WORKGROUP_SIZE: 8 },
  workgroups: ({ columns, chunks }, { WORKGROUP_SIZE }) => Math.ceil(((columns! / 4) * chunks!) / WORKGROUP_SIZE!),
});

const forwardKernels = { row: forwardRowsKernel, vectors: forwardVectorsKernel, workgroup: forwardKernel };
const backwardInputKernels = { row: backwardInputRowsKernel, vectors: backwardInputVectorsKernel, workgroup: backwardInputKernel };
/** A column of rows is one invocation's, whatever the plan; `vectors` takes four of them at once. */
const backwardAffineKernels = { columns: backwardAffineKernel, vectors: backwardAffineVectorsKernel };

/** The plans for rows of so many columns, that of the adapter first. */
function plansFor({ isSoftware }: Device, columns: number): [LayerNormPlan, ...LayerNormPlan[]] {
  if (columns % 4) return isSoftware ? ['row', 'workgroup'] : ['workgroup', 'row'];
  return isSoftware ? ['vectors', 'row', 'workgroup'] : ['workgroup', 'vectors', 'row'];
}

/** The plans for the gradients of weight and bias; pieces of columns, of an `x` above the binding limit, need not be multiples of 4. */
function affineChoice({ engine: { device }, bytes }: Tensor, columns: number, wanted?: LayerNormPlan): PlannedKernels<'columns' | 'vectors'> {
  const canVectors = columns % 4 === 0 && bytes <= device.bindingLimit;
  const asked = wanted && (wanted === 'vectors' && canVectors ? 'vectors' : 'columns');
  const plans = !canVectors ? (['columns'] as const) : device.isSoftware ? (['vectors', 'columns'] as const) : (['columns', 'vectors'] as const);
  return { op: 'layerNorm.affine-gradients', kernels: backwardAffineKernels, plans, wanted: asked, extents: ['rows', 'columns'] };
}

/**
 * Layer normalisation over the last axis (Ba et al. 2016): y = (x − mean)·rstd·weight + bias.
 *
 * `x` [..., C] in f32 or f16; `weight`, `bias` [C] in f32 or null (1 and 0); result in the type of `x`. Saves x, mean and rstd (f32). Gradients: x, weight, bias.
 */
export const layerNorm = defineOp('layerNorm', (x: Tensor, weight: Tensor | null, bias: Tensor | null, { eps = 1e-5, plan }: LayerNormOptions = {}): Tensor => {
  const { engine } = x;
  const dtype = floatType(x, 'layerNorm', 'x');
  const columns = x.shape.at(-1) ?? 1;
  const plans = plansFor(engine.device, columns);
  const choice = { plans, wanted: plan === 'vectors' && !plans.includes(plan) ? ('row' as const) : plan, extents: ['rows', 'columns'] };
  for (const [name, tensor] of Object.entries({ weight, bias })) {
    if (!tensor) continue;
    checkTensor(tensor, 'layerNorm', name, [columns]);
    checkDType(tensor, 'layerNorm', name);
  }
  const rows = x.size / columns;
  const scale = weight ?? engine.full([columns], 1);
  const y = engine.empty(x.shape, dtype);
  const mean = engine.empty([rows]);
  const rstd = engine.empty([rows]);
  runPlanned({ op: 'layerNorm.forward', kernels: forwardKernels, ...choice }, { x, weight: scale, bias: bias ?? engine.zeros([columns]), y, mean, rstd }, { rows, columns, epsilon: eps });
  return record(y, 'layerNorm', [x, weight, bias], { x, scale, mean, rstd }, (dY, saved, [needsX, needsWeight, needsBias]) => {
    let dX: Tensor | null = null;
    let dWeight: Tensor | null = null;
    let dBias: Tensor | null = null;
    if (needsX) {
      dX = engine.empty(saved.x.shape, dtype);
      runPlanned({ op: 'layerNorm.input-gradient', kernels: backwardInputKernels, ...choice }, { x: saved.x, weight: saved.scale, mean: saved.mean, rstd: saved.rstd, dy: dY, dx: dX }, { rows, columns });
    }
    if (needsWeight || needsBias) {
      const { rows_per_chunk, chunks } = rowChunks(rows);
      const weightParts = engine.empty([chunks, columns]);
      const biasParts = engine.empty([chunks, columns]);
      runPlanned(affineChoice(saved.x, columns, choice.wanted), { x: saved.x, mean: saved.mean, rstd: saved.rstd, dy: dY, d_weight: weightParts, d_bias: biasParts }, { rows, columns, rows_per_chunk, chunks });
      if (needsWeight) dWeight = columnSum(weightParts, chunks, columns);
      if (needsBias) dBias = columnSum(biasParts, chunks, columns);
    }
    return [dX, dWeight, dBias];
  });
});

/** Float64 reference of `layerNorm`; `x` is [rows, columns] flat. Plain loops, for tests. */
export function layerNormReference(x: Float64Array, weight: Float64Array | null, bias: Float64Array | null, columns: number, eps = 1e-5): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const { mean, rstd } = rowStatistics(x, start, columns, eps);
    for (let c = 0; c < columns; c++) y[start + c] = (x[start + c]! - mean) * rstd * (weight?.[c] ?? 1) + (bias?.[c] ?? 0);
  }
  return y;
}

/** Gradients of `layerNormReference` with respect to x, weight and bias. */
export function layerNormBackwardReference(
  x: Float64Array,
  weight: Float64Array | null,
  dY: Float64Array,
  columns: number,
  eps = 1e-5,
): { x: Float64Array; weight: Float64Array; bias: Float64Array } {
  const dX = new Float64Array(x.length);
  const dWeight = new Float64Array(columns);
  const dBias = new Float64Array(columns);
  for (let start = 0; start < x.length; start += columns) {
    const { mean, rstd } = rowStatistics(x, start, columns, eps);
    let meanG = 0;
    let meanGX = 0;
    for (let c = 0; c < columns; c++) {
      const normalized = (x[start + c]! - mean) * rstd;
      const g = dY[start + c]! * (weight?.[c] ?? 1);
      meanG += g / columns;
      meanGX += (g * normalized) / columns;
      dWeight[c]! += dY[start + c]! * normalized;
      dBias[c]! += dY[start + c]!;
    }
    for (let c = 0; c < columns; c++) {
      const normalized = (x[start + c]! - mean) * rstd;
      dX[start + c] = rstd * (dY[start + c]! * (weight?.[c] ?? 1) - meanG - normalized * meanGX);
    }
  }
  return { x: dX, weight: dWeight, bias: dBias };
}

function rowStatistics(x: Float64Array, start: number, columns: number, eps: number): { mean: number; rstd: number } {
  let mean = 0;
  for (let c = 0; c < columns; c++) mean += x[start + c]! / columns;
  let variance = 0;
  for (let c = 0; c < columns; c++) variance += (x[start + c]! - mean) ** 2 / columns;
  return { mean, rstd: 1 / Math.sqrt(variance + eps) };
}
