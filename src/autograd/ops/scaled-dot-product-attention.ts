import backwardBiasSource from '../../../kernels/attention.backward-bias.wgsl';
import backwardKeyValueSource from '../../../kernels/attention.backward-key-value.wgsl';
import backwardKeyValueTileSource from '../../../kernels/attention.backward-key-value-tile.wgsl';
import backwardKeyValueTileSubgroupSource from '../../../kernels/attention.backward-key-value-tile-subgroup.wgsl';
import backwardQuerySource from '../../../kernels/attention.backward-query.wgsl';
import backwardQueryTileSource from '../../../kernels/attention.backward-query-tile.wgsl';
import backwardQueryTileSubgroupSource from '../../../kernels/attention.backward-query-tile-subgroup.wgsl';
import backwardRowsSource from '../../../kernels/attention.backward-rows.wgsl';
import fitRowsSource from '../../../kernels/attention.fit-rows.wgsl';
import forwardSource from '../../../kernels/attention.forward.wgsl';
import forwardTileSource from '../../../kernels/attention.forward-tile.wgsl';
import forwardTileSubgroupSource from '../../../kernels/attention.forward-tile-subgroup.wgsl';
import { check, defineKernel, floats, formatShape, sizeOf, type Kernel, type KernelSpec } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, floatType, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { attentionAxes, biasGradientAxes } from './attention-axes.ts';
import { attentionBackwardProducts, attentionForwardProducts, fitsProducts } from './attention-products.ts';
import { hasSubgroupsOf8 } from './matmul.ts';

export interface AttentionOptions {
  /** Added to the scores before the softmax: broadcasts to [B, H, Tq, Tk]. Masks are large negative numbers or −∞. */
  bias?: Tensor | null;
  /** Query i sees keys 0..i, counted from the first of both, as in PyTorch. */
  causal?: boolean;
  /** Factor of q·k. Default 1/√D. */
  scale?: number;
  /** Overrides the adapter's plan (for tests and benches); where it cannot run, `registers`. */
  plan?: AttentionPlan;
}

/**
 * `registers`: one kernel that never stores the scores. `products`: matrix products with the scores of a block of queries in between.
 * `tile`: as `registers`, four rows an invocation, for CPU adapters.
 */
export type AttentionPlan = 'registers' | 'products' | 'tile';

/** Extents of q [batches, heads, queries, headDim] and of k and v [batches, heads, keys, headDim]. */
export interface AttentionDimensions {
  batches: number;
  heads: number;
  queries: number;
  keys: number;
  headDim: number;
}

type AttentionBackwardOperands = Record<'q' | 'k' | 'v' | 'bias' | 'dy' | 'row', Tensor>;
type Four = [number, number, number, number];

const maxHeadDim = 128;
/** Rows up to this many share workgroups between (batch, head) pairs; see PACKED in include/attention.wgsl. */
const packedRows = 32;
/** On CPU adapters: fewer queries or keys leave most of the products' tiles idle. */
const leastForProducts = 24;

/** Head dimensions up to this fit the tile kernels, and so many rows an invocation. */
const tileHeadDim = 32;
const tileRows = 4;
/** Fewer rows leave more than half of a tile idle. */
const leastForTile = 16;

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

/** Bindings that stay f32. */
const notActivations: ReadonlySet<string> = new Set(['bias', 'row', 'stats']);

interface KernelShape {
  inputs: string[];
  outputs: string[];
  /** The rows that invocations compute. */
  rows: 'queries' | 'keys';
  split: NonNullable<KernelSpec['split']>;
}

const shapes: Record<'forward' | 'backwardQuery' | 'backwardKeyValue', KernelShape> = {
  forward: { inputs: ['q', 'k', 'v', 'bias'], outputs: ['y', 'stats'], rows: 'queries', split: (params) => attentionAxes(params, { byQuery: ['q', 'y', 'stats'], byKey: ['k', 'v'] }) },
  backwardQuery: {
    inputs: ['q', 'k', 'v', 'bias', 'dy', 'row'], outputs: ['dq'], rows: 'queries',
    split: (params) => attentionAxes(params, { byQuery: ['q', 'dy', 'row', 'dq'], byKey: ['k', 'v'] }, { keys: ['dq'] }),
  },
  backwardKeyValue: {
    inputs: ['q', 'k', 'v', 'bias', 'dy', 'row'], outputs: ['dk', 'dv'], rows: 'keys',
    split: (params) => attentionAxes(params, { byQuery: ['q', 'dy', 'row'], byKey: ['k', 'v', 'dk', 'dv'] }, { queries: ['dk', 'dv'] }),
  },
};

const halvesOf = ({ inputs, outputs }: KernelShape): KernelSpec['elements'] => floats(...[...inputs, ...outputs].filter((name) => !notActivations.has(name)));

const headKernels: HeadKernels[] = [16, 24, 32, 64, maxHeadDim].map((headDim) => {
  const kernel = (name: string, source: string, shape: KernelShape): Kernel => {
    const { inputs, outputs, rows, split } = shape;
    return defineKernel({
      label: `attention.${name}-${headDim}`,
      source: source.replace('HEAD_VECS_VALUE;', `${headDim / 4}u;`),
      inputs, outputs, elements: halvesOf(shape), params, constants, workgroups: workgroupsFor(rows), split,
    });
  };
  return {
    headDim,
    forward: kernel('forward', forwardSource, shapes.forward),
    backwardQuery: kernel('backward-query', backwardQuerySource, shapes.backwardQuery),
    backwardKeyValue: kernel('backward-key-value', backwardKeyValueSource, shapes.backwardKeyValue),
  };
});

function tileKernel(name: string, source: string, shape: KernelShape, features: KernelSpec['features'] = []): Kernel {
  const { inputs, outputs, rows, split } = shape;
  return defineKernel({
    label: `attention.${name}`,
    source, inputs, outputs, elements: halvesOf(shape), params, constants: { LANES: 8 },
    workgroups: ({ pairs, [rows]: count }, { LANES }) => pairs! * Math.ceil(count! / (tileRows * LANES!)),
    split,
    features,
  });
}

type TileKernels = Omit<HeadKernels, 'headDim'>;

const tileKernels: TileKernels = {
  forward: tileKernel('forward-tile', forwardTileSource, shapes.forward),
  backwardQuery: tileKernel('backward-query-tile', backwardQueryTileSource, shapes.backwardQuery),
  backwardKeyValue: tileKernel('backward-key-value-tile', backwardKeyValueTileSource, shapes.backwardKeyValue),
};

const subgroupTileKernels: TileKernels = {
  forward: tileKernel('forward-tile-subgroup', forwardTileSubgroupSource, shapes.forward, ['subgroups']),
  backwardQuery: tileKernel('backward-query-tile-subgroup', backwardQueryTileSubgroupSource, shapes.backwardQuery, ['subgroups']),
  backwardKeyValue: tileKernel('backward-key-value-tile-subgroup', backwardKeyValueTileSubgroupSource, shapes.backwardKeyValue, ['subgroups']),
};

function workgroupsFor(axis: 'queries' | 'keys'): KernelSpec['workgroups'] {
  return ({ pairs, [axis]: rows }, { WORKGROUP_SIZE, PACKED }) =>
    PACKED ? Math.ceil((pairs! * rows!) / WORKGROUP_SIZE!) : pairs! * Math.ceil(rows! / WORKGROUP_SIZE!);
}

const backwardRowsKernel = defineKernel({
  label: 'attention.backward-rows',
  source: backwardRowsSource,
  inputs: ['y', 'dy', 'stats'],
  outputs: ['row'],
  elements: floats('y', 'dy'),
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
  elements: floats('q', 'k', 'v', 'dy'),
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
  elements: floats('x', 'y'),
  params: { rows: 'u32', from_columns: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((rows! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['x', 'y'] },
});

/**
 * softmax(scale·q·kᵀ + bias)·v for each batch and head, without ever storing Tq × Tk scores: online softmax (Dao et al. 2022), or,
 * in some passes on CPU adapters, the scores of at most 128 queries at a time, within 16 MiB.
 *
 * `q` [B, H, Tq, D]; `k`, `v` [B, H, Tk, D], D ≤ 128, all f32 or all f16; `bias`, f32, broadcasts to [B, H, Tq, Tk]. Result [B, H, Tq,
 * D] in the type of q; scores, weights and sums are f32 either way, and so is what is saved for each query. `causal`: query i
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
  const of = (plan: AttentionPlan): TileKernels => (plan !== 'tile' ? kernels : hasSubgroupsOf8(engine.device) ? subgroupTileKernels : tileKernels);
  const forward = (plan: AttentionPlan, { q, k, v, bias }: Record<'q' | 'k' | 'v' | 'bias', Tensor>): { y: Tensor; stats: Tensor } => {
    if (plan === 'products') return attentionForwardProducts({ q, k, v }, { ...common, bias });
    const [y, stats] = [engine.empty(q.shape, q.dtype), engine.empty([rows, 2])];
    runKernel(of(plan).forward, { q, k, v, bias, y, stats }, shared, plan === 'tile' ? {} : byQuery);
    return { y, stats };
  };
  const backward = (plan: AttentionPlan, operands: AttentionBackwardOperands, needsQ = true, needsKeyOrValue = true): Record<'dq' | 'dk' | 'dv', Tensor | null> => {
    const { q, k, v, bias, dy, row } = operands;
    if (plan === 'products') return attentionBackwardProducts({ q, k, v, dy, row }, { ...common, bias });
    const dq = needsQ ? engine.empty(q.shape, q.dtype) : null;
    if (dq) runKernel(of(plan).backwardQuery, { ...operands, dq }, shared, plan === 'tile' ? {} : byQuery);
    if (!needsKeyOrValue) return { dq, dk: null, dv: null };
    const [dk, dv] = [engine.empty(k.shape, k.dtype), engine.empty(v.shape, v.dtype)];
    runKernel(of(plan).backwardKeyValue, { ...operands, dk, dv }, shared, plan === 'tile' ? {} : byKey);
    return { dq, dk, dv };
  };
  const rowsOf = ({ y, dy, stats }: Record<'y' | 'dy' | 'stats', Tensor>): Tensor => {
    const row = engine.empty([rows, 4]);
    runKernel(backwardRowsKernel, { y, dy, stats, row }, { rows, vecs });
    return row;
  };

  // In f16 the compiler of lavapipe takes 20 s for the registers' kernels.
  const suitsProducts = isSoftware && (q.dtype === 'f16' || Math.min(d.queries, d.keys) >= leastForProducts);
  const canTile = isSoftware && 4 * vecs <= tileHeadDim;
  const plansOf = (pass: 'forward' | 'backward'): readonly [AttentionPlan, ...AttentionPlan[]] => {
    const fits = fitsProducts(fitted, boundBias, d);
    const others: [AttentionPlan, ...AttentionPlan[]] = !fits ? ['registers'] : suitsProducts ? ['products', 'registers'] : ['registers', 'products'];
    if (!canTile) return others;
    return (pass === 'forward' ? d.queries : Math.min(d.queries, d.keys)) >= leastForTile ? ['tile', ...others] : [...others, 'tile'];
  };
  const fittedShapes = { q: fitted.q.shape, k: fitted.k.shape, v: fitted.v.shape, bias: boundBias.shape };
  const choose = (pass: 'forward' | 'backward'): AttentionPlan => {
    const plans = plansOf(pass);
    const wanted = options.plan && (plans.includes(options.plan) ? options.plan : 'registers');
    return wanted ?? (q.dtype === 'f16' ? plans[0] : engine.plans.choose<AttentionPlan>(plans[0], () => ({
      op: `attention.${pass}`,
      variant: `${causal ? 'causal' : ''}${bias ? ' biased' : ''}`.trim(),
      extents: { pairs: common.pairs, queries: d.queries, keys: d.keys, columns: 4 * vecs },
      plans,
      isComposite: true,
      trial: (operand) => {
        const operands = { q: operand(fittedShapes.q), k: operand(fittedShapes.k), v: operand(fittedShapes.v), bias: operand(fittedShapes.bias) };
        if (pass === 'forward') return (plan) => Object.values(forward(plan, operands));
        const dy = operand(fittedShapes.q);
        const row = rowsOf({ ...forward(plansOf('forward')[0], operands), dy });
        return (plan) => Object.values(backward(plan, { ...operands, dy, row })) as Tensor[];
      },
    })));
  };

  const { y, stats } = forward(choose('forward'), { ...fitted, bias: boundBias });
  return record(fitRows(y, d.headDim), 'scaledDotProductAttention', [q, k, v, bias], { ...fitted, bias: boundBias, y, stats }, (dY, saved, [needsQ, needsK, needsV, needsBias]) => {
    const dy = fitRows(dY, 4 * vecs);
    const operands = { q: saved.q, k: saved.k, v: saved.v, bias: saved.bias, dy, row: rowsOf({ y: saved.y, dy, stats: saved.stats }) };
    const fit = (gradient: Tensor | null): Tensor | null => gradient && fitRows(gradient, d.headDim);
    const { dq, dk, dv } = needsQ || needsK || needsV ? backward(choose('backward'), operands, needsQ, needsK || needsV) : { dq: null, dk: null, dv: null };
    let dBias: Tensor | null = null;
    if (needsBias) {
      dBias = engine.empty(saved.bias.shape);
      const { heads, queries, keys } = d;
      runKernel(backwardBiasKernel, { ...operands, d_bias: dBias }, { bias_shape: biasShape!, batches: d.batches, heads, queries, keys, vecs, causal: shared.causal, diagonal: 0, scale });
    }
    return [fit(dq), fit(dk), fit(dv), dBias];
  });
});

function dimensionsOf(q: Tensor, k: Tensor, v: Tensor): AttentionDimensions {
  const op = 'scaledDotProductAttention';
  floatType(q, op, 'q');
  for (const [name, tensor] of Object.entries({ k, v })) check(tensor.dtype === q.dtype, op, () => `${name} must be ${q.dtype} as q is, got ${tensor.dtype}; convert it first: ops.cast(${name}, '${q.dtype}')`);
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
  const y = x.engine.empty([...x.shape.slice(0, -1), columns], x.dtype);
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
