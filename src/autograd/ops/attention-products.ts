/**
 * Attention as matrix products with the scores held in between, a few (batch, head) pairs at a time: the plan for CPU adapters,
 * where the plans of `gemm` are several times faster than any kernel that keeps the scores in registers.
 */
import scaleRowsSource from '../../../kernels/attention.scale-rows.wgsl';
import scoreGradientsSource from '../../../kernels/attention.score-gradients.wgsl';
import weightsSource from '../../../kernels/attention.weights.wgsl';
import { defineKernel, type FloatType, type Params } from '../../engine/index.ts';
import { copyView } from '../block-copy.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { converted } from './cast.ts';
import { gemm } from './matmul.ts';

/** Most bytes of one set of scores. */
const mostScoreBytes = 16 * 2 ** 20;

const params = { bias_stride: 'vec4u', pairs: 'u32', first_pair: 'u32', heads: 'u32', queries: 'u32', keys: 'u32', causal: 'u32', has_bias: 'u32', scale: 'f32' } as const;
const constants = { WORKGROUP_SIZE: 8 };

const weightsKernel = defineKernel({
  label: 'attention.weights',
  source: weightsSource,
  inputs: ['bias'],
  outputs: ['scores', 'stats'],
  params,
  constants,
  workgroups: ({ pairs, queries }, { WORKGROUP_SIZE }) => Math.ceil((pairs! * queries!) / WORKGROUP_SIZE!),
});

const scaleRowsKernel = defineKernel({
  label: 'attention.scale-rows',
  source: scaleRowsSource,
  inputs: ['stats'],
  outputs: ['y'],
  params: { rows: 'u32', columns: 'u32' },
  constants,
  workgroups: ({ rows }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['stats', 'y'] },
});

const scoreGradientsKernel = defineKernel({
  label: 'attention.score-gradients',
  source: scoreGradientsSource,
  inputs: ['bias', 'row'],
  outputs: ['weights', 'gradients', 'turned'],
  params,
  constants,
  workgroups: ({ pairs, keys }, { WORKGROUP_SIZE }) => Math.ceil((pairs! * keys!) / WORKGROUP_SIZE!),
});

/** Whether one pair's scores stay within bounds and all operands within the binding limit, which these kernels do not split. */
export function fitsProducts(operands: Record<'q' | 'k' | 'v', Tensor>, bias: Tensor, { queries, keys }: { queries: number; keys: number }): boolean {
  const { bindingLimit } = bias.engine.device;
  const largest = Math.max(bias.bytes, ...Object.values(operands).map(({ bytes }) => bytes));
  return largest <= bindingLimit && 4 * queries * keys <= Math.min(mostScoreBytes, bindingLimit);
}

/** What both passes need of the op: its params, all (batch, head) pairs, and the bias or anything where there is none. */
export interface AttentionProducts {
  heads: number;
  pairs: number;
  queries: number;
  keys: number;
  causal: number;
  has_bias: number;
  scale: number;
  bias_stride: number[];
  bias: Tensor;
}

/** `y` [B, H, Tq, D] and `stats` [pairs·Tq, 2], (m, 1/Σ) of each query. */
export function attentionForwardProducts({ q, k, v }: Record<'q' | 'k' | 'v', Tensor>, plan: AttentionProducts): { y: Tensor; stats: Tensor } {
  const results = { y: q, stats: { shape: [plan.pairs * plan.queries, 2], dtype: 'f32' as const } };
  return inStretches(plan, { q, k, v }, results, (from, shared) => {
    const scores = gemm(from.q, from.k, { transposeB: true, dtype: 'f32' });
    const stats = scores.engine.empty([shared.pairs * plan.queries, 2]);
    runKernel(weightsKernel, { bias: plan.bias, scores, stats }, shared);
    const y = gemm(scores, from.v);
    runKernel(scaleRowsKernel, { stats, y }, { rows: stats.shape[0]!, columns: y.shape.at(-1)! });
    return { y: converted(y, q.dtype as FloatType), stats };
  });
}

/** Gradients of q, k and v; `row` [pairs·Tq, 4] as attention.backward-rows gives it. */
export function attentionBackwardProducts(operands: Record<'q' | 'k' | 'v' | 'dy' | 'row', Tensor>, plan: AttentionProducts): Record<'dq' | 'dk' | 'dv', Tensor> {
  const { q, k, v, dy, row } = operands;
  return inStretches(plan, { q, k, v, dy, row }, { dq: q, dk: k, dv: v }, (from, shared) => {
    const weights = gemm(from.k, from.q, { transposeB: true, dtype: 'f32' });
    const gradients = gemm(from.v, from.dy, { transposeB: true, dtype: 'f32' });
    const turned = weights.engine.empty([shared.pairs, plan.queries, plan.keys]);
    runKernel(scoreGradientsKernel, { bias: plan.bias, row: from.row, weights, gradients, turned }, shared);
    const dtype = q.dtype as FloatType;
    return { dq: gemm(turned, from.k, { dtype }), dk: gemm(gradients, from.q, { dtype }), dv: gemm(weights, from.dy, { dtype }) };
  });
}

/**
 * Runs `work` on stretches of (batch, head) pairs whose scores stay within bounds and puts its results together in those of `results`. Every
 * tensor has the pairs first; `work` sees and gives [pairs of the stretch, …].
 */
function inStretches<From extends string, To extends string>(
  plan: AttentionProducts,
  from: Record<From, Tensor>,
  results: Record<To, Pick<Tensor, 'shape' | 'dtype'>>,
  work: (from: Record<From, Tensor>, shared: Params & { pairs: number }) => Record<To, Tensor>,
): Record<To, Tensor> {
  const { bias, ...shared } = plan;
  const { engine } = bias;
  const most = Math.max(1, Math.floor(Math.min(mostScoreBytes, engine.device.bindingLimit) / (4 * plan.queries * plan.keys)));
  const run = (first: number, pairs: number): Record<To, Tensor> => work(mapValues(from, (x) => pairsOf(x, plan.pairs, first, pairs)), { ...shared, pairs, first_pair: first });
  if (most >= plan.pairs) {
    const made = run(0, plan.pairs);
    return mapValues(results, ({ shape }, name) => made[name].alias(shape));
  }
  const whole = mapValues(results, ({ shape, dtype }) => engine.empty(shape, dtype));
  for (let first = 0; first < plan.pairs; first += most) {
    engine.scope(() => {
      const parts = run(first, Math.min(most, plan.pairs - first));
      mapValues(parts, (part, name) => {
        const { view, bytes } = whole[name];
        copyView(engine.device, part.view, { ...view, offset: (bytes / plan.pairs) * first, bytes: part.bytes });
      });
    });
  }
  return whole;
}

function mapValues<Name extends string, A, B>(record: Record<Name, A>, change: (value: A, name: Name) => B): Record<Name, B> {
  return Object.fromEntries((Object.entries(record) as [Name, A][]).map(([name, value]) => [name, change(value, name)])) as Record<Name, B>;
}

/** Pairs `first` to `first + count` of a tensor with `pairs` of them: a copy, unless it is all. */
function pairsOf(x: Tensor, pairs: number, first: number, count: number): Tensor {
  const shape = x.rank === 4 ? [count, x.shape[2]!, x.shape[3]!] : [(x.shape[0]! / pairs) * count, ...x.shape.slice(1)];
  if (count === pairs) return x.alias(shape);
  const part = x.engine.empty(shape, x.dtype);
  copyView(x.engine.device, { ...x.view, offset: (x.bytes / pairs) * first, bytes: part.bytes }, part.view);
  return part;
}
