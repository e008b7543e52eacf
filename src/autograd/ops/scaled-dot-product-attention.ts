import backwardBiasSource from '../../../kernels/attention.backward-bias.wgsl';
import backwardKeyValueSource from '../../../kernels/attention.backward-key-value.wgsl';
import backwardQuerySource from '../../../kernels/attention.backward-query.wgsl';
import backwardRowsSource from '../../../kernels/attention.backward-rows.wgsl';
import fitRowsSource from '../../../kernels/attention.fit-rows.wgsl';
import forwardSource from '../../../kernels/attention.forward.wgsl';
import { check, defineKernel, formatShape, sizeOf, type Kernel, type KernelSpec } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { attentionAxes, biasGradientAxes } from './attention-axes.ts';
import { attentionBackwardProducts, attentionForwardProducts, fitsProducts } from './attention-products.ts';

export interface AttentionOptions {
  /** Added to the scores before the softmax: broadcasts to [B, H, Tq, Tk]. Masks are large negative numbers or −∞. */
  bias?: Tensor | null;
  /** Query i sees keys 0..i, counted from the first of both, as in PyTorch. */
  causal?: boolean;
  /** Factor of q·k. Default 1/√D. */
  scale?: number;
  /** Overrides the adapter's plan (for tests and benches). */
  plan?: AttentionPlan;
}

/** `registers`: one kernel that never stores the scores. `products`: matrix products with the scores of a block of queries in between. */
export type AttentionPlan = 'registers' | 'products';

/** Extents of q [batches, heads, queries, headDim] and of k and v [batches, heads, keys, headDim]. */
export interface AttentionDimensions {
  batches: number;
  heads: number;
  queries: number;
  keys: number;
  headDim: number;
}

type Four = [number, number, number, number];

const maxHeadDim = 128;
/** Rows up to this many share workgroups between (batch, head) pairs; see PACKED in include/attention.wgsl. */
const packedRows = 32;
/** On CPU adapters: fewer queries or keys leave most of the products' tiles idle. */
const leastForProducts = 24;

const params = { bias_stride: 'vec4u', pairs: 'u32', heads: 'u32', queries: 'u32', keys: 'u32', vecs: 'u32', causal: 'u32', diagonal: 'i32', has_bias: 'u32', resume: 'u32', scale: 'f32' } as const;
const constants = { WORKGROUP_SIZE: 64, PACKED: 0, UNROLLED: 0 };

/**
 * The kernels whose registers hold rows of one padded head dimension. Their WGSL is the same up to one number. CPU adapters run the
 * widest for every head dimension, with loops kept as loops: as fast there, and compiled once.
 */
interface HeadKernels {
  headDim: number;
  forward: Kernel;
  backwardQuery: Kernel;
  backwardKeyValue: Kernel;
}

const headKernels: HeadKernels[] = [16, 24, 32, 64, maxHeadDim].map((headDim) => {
  const kernel = (name: string, source: string, inputs: string[], outputs: string[], rows: 'queries' | 'keys', split: KernelSpec['split']): Kernel =>
    defineKernel({
      label: `attention.${name}-${headDim}`,
      source: source.replace('HEAD_VECS_VALUE;', `${headDim / 4}u;`),
      inputs,
      outputs,
      params,
      constants,
      workgroups: workgroupsFor(rows),
      split,
    });
  return {
    headDim,
    forward: kernel('forward', forwardSource, ['q', 'k', 'v', 'bias'], ['y', 'stats'], 'queries', (params) => attentionAxes(params, { byQuery: ['q', 'y', 'stats'], byKey: ['k', 'v'] })),
    backwardQuery: kernel('backward-query', backwardQuerySource, ['q', 'k', 'v', 'bias', 'dy', 'row'], ['dq'], 'queries', (params) =>
      attentionAxes(params, { byQuery: ['q', 'dy', 'row', 'dq'], byKey: ['k', 'v'] }, { keys: ['dq'] }),
    ),
    backwardKeyValue: kernel('backward-key-value', backwardKeyValueSource, ['q', 'k', 'v', 'bias', 'dy', 'row'], ['dk', 'dv'], 'keys', (params) =>
      attentionAxes(params, { byQuery: ['q', 'dy', 'row'], byKey: ['k', 'v', 'dk', 'dv'] }, { queries: ['dk', 'dv'] }),
    ),
  };
});

function workgroupsFor(axis: 'queries' | 'keys'): KernelSpec['workgroups'] {
  return ({ pairs, [axis]: rows }, { WORKGROUP_SIZE, PACKED }) =>
    PACKED ? Math.ceil((pairs! * rows!) / WORKGROUP_SIZE!) : pairs! * Math.ceil(rows! / WORKGROUP_SIZE!);
}

const backwardRowsKernel = defineKernel({
  label: 'attention.backward-rows',
  source: backwardRowsSource,
  inputs: ['y', 'dy', 'stats'],
  outputs: ['row'],
  params: { rows: 'u32', vecs: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['y', 'dy', 'stats', 'row'] },
});

const backwardBiasKernel = defineKernel({
  label: 'attention.backward-bias',
  source: backwardBiasSource,
  inputs: ['q', 'k', 'v', 'bias', 'dy', 'row'],
  outputs: ['d_bias'],
  params: { bias_shape: 'vec4u', batches: 'u32', heads: 'u32', queries: 'u32', keys: 'u32', vecs: 'u32', causal: 'u32', diagonal: 'i32', scale: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ bias_shape }, { WORKGROUP_SIZE }) => Math.ceil(sizeOf(bias_shape as unknown as Four) / WORKGROUP_SIZE!),
  split: biasGradientAxes,
});

const fitRowsKernel = defineKernel({
  label: 'attention.fit-rows',
  source: fitRowsSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { rows: 'u32', from_columns: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((rows! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['x', 'y'] },
});

/**
 * softmax(scale·q·kᵀ + bias)·v for each batch and head, without ever storing Tq × Tk scores: online softmax (Dao et al. 2022), or
 * on CPU adapters the scores of at most 128 queries at a time, within 16 MiB.
 *
 * `q` [B, H, Tq, D]; `k`, `v` [B, H, Tk, D], D ≤ 128; `bias` broadcasts to [B, H, Tq, Tk]. Result [B, H, Tq, D]. `causal`: query i
 * sees keys 0..i. A row masked everywhere gives the mean of the values it would see, never NaN. Saves q, k, v, y and two numbers a
 * query. Gradients: q, k, v and bias (summed over its broadcast axes).
 */
export const scaledDotProductAttention = defineOp('scaledDotProductAttention', (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor => {
  const { engine } = q;
  const { bias = null, causal = false } = options;
  const d = dimensionsOf(q, k, v);
  const scale = options.scale ?? 1 / Math.sqrt(d.headDim);
  const biasShape = bias && biasShapeOf(bias, d);
  const { isSoftware } = engine.device;
  const kernels = isSoftware ? headKernels.at(-1)! : headKernels.find(({ headDim }) => headDim >= d.headDim)!;
  const vecs = isSoftware ? Math.ceil(d.headDim / 4) : kernels.headDim / 4;
  const fitted = { q: fitRows(q, 4 * vecs), k: fitRows(k, 4 * vecs), v: fitRows(v, 4 * vecs) };
  const common = {
    bias_stride: biasShape ? broadcastStrides(biasShape) : [0, 0, 0, 0],
    pairs: d.batches * d.heads,
    heads: d.heads,
    queries: d.queries,
    keys: d.keys,
    causal: Number(causal),
    has_bias: Number(bias !== null),
    scale,
  };
  const shared = { ...common, vecs, diagonal: 0, resume: 0 };
  const UNROLLED = Number(!isSoftware);
  const byQuery = { PACKED: Number(d.queries <= packedRows), UNROLLED };
  const byKey = { PACKED: Number(d.keys <= packedRows), UNROLLED };
  const boundBias = bias ?? engine.zeros([1]);
  const rows = shared.pairs * d.queries;
  const suitsProducts = isSoftware && Math.min(d.queries, d.keys) >= leastForProducts;
  const plan = (options.plan ?? (suitsProducts ? 'products' : 'registers')) === 'products' && fitsProducts(fitted, boundBias, d) ? 'products' : 'registers';
  const { y, stats } = plan === 'products' ? attentionForwardProducts(fitted, { ...common, bias: boundBias }) : { y: engine.empty(fitted.q.shape), stats: engine.empty([rows, 2]) };
  if (plan === 'registers') runKernel(kernels.forward, { ...fitted, bias: boundBias, y, stats }, shared, byQuery);
  return record(fitRows(y, d.headDim), 'scaledDotProductAttention', [q, k, v, bias], { ...fitted, bias: boundBias, y, stats }, (dY, saved, [needsQ, needsK, needsV, needsBias]) => {
    const dy = fitRows(dY, 4 * vecs);
    const row = engine.empty([rows, 4]);
    runKernel(backwardRowsKernel, { y: saved.y, dy, stats: saved.stats, row }, { rows, vecs });
    const operands = { q: saved.q, k: saved.k, v: saved.v, bias: saved.bias, dy, row };
    let dQ: Tensor | null = null;
    let dK: Tensor | null = null;
    let dV: Tensor | null = null;
    let dBias: Tensor | null = null;
    if (plan === 'products') {
      const { dq, dk, dv } = attentionBackwardProducts(operands, { ...common, bias: saved.bias });
      [dQ, dK, dV] = [dq, dk, dv].map((gradient) => fitRows(gradient, d.headDim)) as [Tensor, Tensor, Tensor];
    } else if (needsQ) {
      const dq = engine.empty(saved.q.shape);
      runKernel(kernels.backwardQuery, { ...operands, dq }, shared, byQuery);
      dQ = fitRows(dq, d.headDim);
    }
    if (plan === 'registers' && (needsK || needsV)) {
      const dk = engine.empty(saved.k.shape);
      const dv = engine.empty(saved.v.shape);
      runKernel(kernels.backwardKeyValue, { ...operands, dk, dv }, shared, byKey);
      dK = fitRows(dk, d.headDim);
      dV = fitRows(dv, d.headDim);
    }
    if (needsBias) {
      dBias = engine.empty(saved.bias.shape);
      const { heads, queries, keys } = d;
      runKernel(backwardBiasKernel, { ...operands, d_bias: dBias }, { bias_shape: biasShape!, batches: d.batches, heads, queries, keys, vecs, causal: shared.causal, diagonal: 0, scale });
    }
    return [dQ, dK, dV, dBias];
  });
});

function dimensionsOf(q: Tensor, k: Tensor, v: Tensor): AttentionDimensions {
  const op = 'scaledDotProductAttention';
  for (const [name, tensor] of Object.entries({ q, k, v })) checkDType(tensor, op, name);
  checkTensor(q, op, 'q', [null, null, null, null]);
  const [batches, heads, queries, headDim] = q.shape as unknown as Four;
  check(headDim <= maxHeadDim, op, () => `the head dimension must be at most ${maxHeadDim}, got ${headDim}; use more heads`);
  checkTensor(k, op, 'k', [batches, heads, null, headDim]);
  checkTensor(v, op, 'v', k.shape);
  return { batches, heads, queries, keys: k.shape[2]!, headDim };
}

/** Shape of the bias with leading ones to four axes. Throws unless it broadcasts to [B, H, Tq, Tk]. */
function biasShapeOf(bias: Tensor, { batches, heads, queries, keys }: AttentionDimensions): Four {
  checkDType(bias, 'scaledDotProductAttention', 'bias');
  const full = [batches, heads, queries, keys];
  const shape = [...new Array<number>(Math.max(0, 4 - bias.rank)).fill(1), ...bias.shape];
  const fits = shape.length === 4 && shape.every((extent, axis) => extent === 1 || extent === full[axis]);
  check(fits, 'scaledDotProductAttention', () => `bias must broadcast to ${formatShape(full)}, got ${formatShape(bias.shape)}`);
  return shape as Four;
}

/** Row-major strides with 0 along axes of extent 1. */
function broadcastStrides(shape: Four): number[] {
  return shape.map((extent, axis) => (extent === 1 ? 0 : sizeOf(shape.slice(axis + 1))));
}

/** `x` [..., C] with its last axis padded with zeros or cut to `columns`; `x` itself where it fits. */
function fitRows(x: Tensor, columns: number): Tensor {
  const from = x.shape.at(-1)!;
  if (from === columns) return x;
  const rows = x.size / from;
  const y = x.engine.empty([...x.shape.slice(0, -1), columns]);
  runKernel(fitRowsKernel, { x, y }, { rows, from_columns: from, columns });
  return y;
}

/** Operands of the float64 reference. `biasShape` has four axes, each that of [batches, heads, queries, keys] or 1. */
export interface AttentionOperands {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  bias?: Float64Array;
}

export interface AttentionReferenceOptions {
  biasShape?: readonly number[];
  causal?: boolean;
  scale?: number;
}

/** Float64 reference of `scaledDotProductAttention`. Plain loops, for tests. */
export function scaledDotProductAttentionReference(operands: AttentionOperands, d: AttentionDimensions, options: AttentionReferenceOptions = {}): Float64Array {
  const y = new Float64Array(operands.q.length);
  eachQuery(operands, d, options, ({ queryStart, keyStart, p }) => {
    p.forEach((weight, j) => {
      for (let c = 0; c < d.headDim; c++) y[queryStart + c]! += weight * operands.v[keyStart + j * d.headDim + c]!;
    });
  });
  return y;
}

/** Gradients of `scaledDotProductAttentionReference` with respect to q, k, v and, where there is one, bias. */
export function scaledDotProductAttentionBackwardReference(
  operands: AttentionOperands,
  dY: Float64Array,
  d: AttentionDimensions,
  options: AttentionReferenceOptions = {},
): { q: Float64Array; k: Float64Array; v: Float64Array; bias?: Float64Array } {
  const { q, k, v, bias } = operands;
  const dQ = new Float64Array(q.length);
  const dK = new Float64Array(k.length);
  const dV = new Float64Array(v.length);
  const dBias = bias && new Float64Array(bias.length);
  const scale = options.scale ?? 1 / Math.sqrt(d.headDim);
  eachQuery(operands, d, options, ({ queryStart, keyStart, p, biasIndex }) => {
    const dP = p.map((_, j) => dotProduct(dY, queryStart, v, keyStart + j * d.headDim, d.headDim));
    const delta = p.reduce((sum, weight, j) => sum + weight * dP[j]!, 0);
    p.forEach((weight, j) => {
      const dScore = weight * (dP[j]! - delta);
      if (dBias) dBias[biasIndex[j]!]! += dScore;
      for (let c = 0; c < d.headDim; c++) {
        const at = keyStart + j * d.headDim + c;
        dQ[queryStart + c]! += scale * dScore * k[at]!;
        dK[at]! += scale * dScore * q[queryStart + c]!;
        dV[at]! += weight * dY[queryStart + c]!;
      }
    });
  });
  return { q: dQ, k: dK, v: dV, ...(dBias ? { bias: dBias } : {}) };
}

interface QueryRow {
  queryStart: number;
  keyStart: number;
  /** Softmax weights of the keys that the query sees. */
  p: number[];
  /** Where the bias of each of these keys stands. */
  biasIndex: number[];
}

function eachQuery({ q, k, bias }: AttentionOperands, d: AttentionDimensions, options: AttentionReferenceOptions, visit: (row: QueryRow) => void): void {
  const { causal = false, scale = 1 / Math.sqrt(d.headDim), biasShape = [1, 1, 1, 1] } = options;
  for (let b = 0; b < d.batches; b++) {
    for (let h = 0; h < d.heads; h++) {
      for (let i = 0; i < d.queries; i++) {
        const pair = b * d.heads + h;
        const queryStart = (pair * d.queries + i) * d.headDim;
        const keyStart = pair * d.keys * d.headDim;
        const count = causal ? Math.min(d.keys, i + 1) : d.keys;
        const biasIndex = Array.from({ length: count }, (_, j) => broadcastIndex([b, h, i, j], biasShape));
        const scores = biasIndex.map((at, j) => scale * dotProduct(q, queryStart, k, keyStart + j * d.headDim, d.headDim) + (bias?.[at] ?? 0));
        const largest = Math.max(...scores);
        const exponentials = scores.map((score) => Math.exp(score - largest));
        const sum = exponentials.reduce((total, e) => total + e, 0);
        visit({ queryStart, keyStart, p: exponentials.map((e) => e / sum), biasIndex });
      }
    }
  }
}

function broadcastIndex(at: readonly number[], shape: readonly number[]): number {
  return at.reduce((index, position, axis) => index * shape[axis]! + (shape[axis] === 1 ? 0 : position), 0);
}

function dotProduct(a: Float64Array, aStart: number, b: Float64Array, bStart: number, length: number): number {
  let sum = 0;
  for (let c = 0; c < length; c++) sum += a[aStart + c]! * b[bStart + c]!;
  return sum;
}
