/**
 * Attention as matrix products with the scores of a block of queries in between, for a few (batch, head) pairs at a time: the plan
 * for CPU adapters, where the plans of `gemm` are several times faster than any kernel that keeps the scores in registers. Memory
 * grows with the length of a sequence, not with its square.
 */
import scaleRowsSource from '../../../kernels/attention.scale-rows.wgsl';
import scoreGradientsSource from '../../../kernels/attention.score-gradients.wgsl';
import weightsSource from '../../../kernels/attention.weights.wgsl';
import { defineKernel, sizeOf, type Params, type Shape } from '../../engine/index.ts';
import { copyRows, type RowsInBuffer } from '../block-copy.ts';
import { runKernel } from '../op.ts';
import { addInto } from '../split.ts';
import type { Tensor } from '../tensor.ts';
import { gemm, transposed } from './matmul.ts';

/** Most bytes of one set of scores. */
const mostScoreBytes = 16 * 2 ** 20;
/** Most queries of one (batch, head) whose scores exist at once. */
const mostQueries = 128;
/** Rows that a tile of the products makes at once. */
const tileRows = 16;

const params = { bias_stride: 'vec4u', pairs: 'u32', first_pair: 'u32', heads: 'u32', queries: 'u32', first_query: 'u32', keys: 'u32', causal: 'u32', has_bias: 'u32', scale: 'f32' } as const;
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

/** Whether the scores of one block of queries stay within bounds and all operands within the binding limit, which these kernels do not split. */
export function fitsProducts(operands: Record<'q' | 'k' | 'v', Tensor>, bias: Tensor, { queries, keys }: { queries: number; keys: number }): boolean {
  const { bindingLimit } = bias.engine.device;
  const largest = Math.max(bias.bytes, ...Object.values(operands).map(({ bytes }) => bytes));
  return largest <= bindingLimit && 4 * blockOf(queries) * keys <= Math.min(mostScoreBytes, bindingLimit);
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
  const from = { byQuery: { q }, byKey: { turnedK: transposed(k), v } };
  const to = { byQuery: { y: q.shape, stats: [plan.pairs * plan.queries, 2] }, byKey: {} };
  return inBlocks(plan, from, to, ({ q, turnedK, v }, shared) => {
    const scores = gemm(q, turnedK);
    const stats = scores.engine.empty([shared.pairs, shared.queries, 2]);
    runKernel(weightsKernel, { bias: plan.bias, scores, stats }, shared);
    const y = gemm(scores, v);
    runKernel(scaleRowsKernel, { stats, y }, { rows: stats.size / 2, columns: y.shape.at(-1)! });
    return { y, stats };
  });
}

/** Gradients of q, k and v; `row` [pairs·Tq, 4] as attention.backward-rows gives it. */
export function attentionBackwardProducts({ q, k, v, dy, row }: Record<'q' | 'k' | 'v' | 'dy' | 'row', Tensor>, plan: AttentionProducts): Record<'dq' | 'dk' | 'dv', Tensor> {
  const from = { byQuery: { q, dy, row }, byKey: { k, v } };
  const to = { byQuery: { dq: q.shape }, byKey: { dk: k.shape, dv: v.shape } };
  return inBlocks(plan, from, to, ({ q, dy, row, k, v }, shared) => {
    const weights = gemm(k, q, { transposeB: true });
    const gradients = gemm(v, dy, { transposeB: true });
    const turned = weights.engine.empty([shared.pairs, shared.queries, plan.keys]);
    runKernel(scoreGradientsKernel, { bias: plan.bias, row, weights, gradients, turned }, shared);
    return { dq: gemm(turned, k), dk: gemm(gradients, q), dv: gemm(weights, dy) };
  });
}

/** Queries of a block: as equal as tiles allow, at most `mostQueries`. */
function blockOf(queries: number): number {
  const blocks = Math.ceil(queries / mostQueries);
  return blocks === 1 ? queries : Math.ceil(queries / blocks / tileRows) * tileRows;
}

/** Tensors that have all (batch, head) pairs first: `byQuery` then the queries, `byKey` the keys. */
interface Sides<Query extends string, Key extends string, Value> {
  byQuery: Record<Query, Value>;
  byKey: Record<Key, Value>;
}

type BlockParams = Params & { pairs: number; queries: number };

/**
 * Runs `work` on blocks of queries, of as many (batch, head) pairs as keep the scores within bounds, and puts its results together
 * in the shapes of `to`; those by key are summed over the blocks, in order. `work` sees and gives [pairs of the block, rows, columns].
 */
function inBlocks<InQuery extends string, InKey extends string, OutQuery extends string, OutKey extends string>(
  plan: AttentionProducts,
  from: Sides<InQuery, InKey, Tensor>,
  to: Sides<OutQuery, OutKey, Shape>,
  work: (from: Record<InQuery | InKey, Tensor>, shared: BlockParams) => Record<NoInfer<OutQuery | OutKey>, Tensor>,
): Record<OutQuery | OutKey, Tensor> {
  const { bias, ...params } = plan;
  const { engine } = bias;
  const queries = blockOf(plan.queries);
  const pairs = Math.max(1, Math.floor(Math.min(mostScoreBytes, engine.device.bindingLimit) / (4 * queries * plan.keys)));
  const run = (keys: Record<InKey, Tensor>, block: Block): Record<OutQuery | OutKey, Tensor> => {
    const rows = mapValues(from.byQuery, (x) => take(x, block, [block.pairs, block.rows, x.shape.at(-1)!]));
    return work({ ...rows, ...keys }, { ...params, pairs: block.pairs, first_pair: block.firstPair, queries: block.rows, first_query: block.firstRow });
  };
  const shapes = { ...to.byQuery, ...to.byKey } as Record<OutQuery | OutKey, Shape>;
  if (pairs >= plan.pairs && queries === plan.queries) {
    const all = { allPairs: plan.pairs, firstPair: 0, pairs: plan.pairs, firstRow: 0 };
    const keys = mapValues(from.byKey, (x) => x.alias([plan.pairs, ...x.shape.slice(-2)]));
    const results = run(keys, { ...all, allRows: queries, rows: queries });
    return mapValues(shapes, (shape, name) => results[name].alias(shape));
  }
  const whole = mapValues(shapes, (shape) => engine.empty(shape));
  for (let firstPair = 0; firstPair < plan.pairs; firstPair += pairs) {
    const stretch = { allPairs: plan.pairs, firstPair, pairs: Math.min(pairs, plan.pairs - firstPair) };
    const ofKeys = { ...stretch, allRows: plan.keys, firstRow: 0, rows: plan.keys };
    engine.scope(() => {
      const keys = mapValues(from.byKey, (x) => take(x, ofKeys, [stretch.pairs, ...x.shape.slice(-2)]));
      for (let firstRow = 0; firstRow < plan.queries; firstRow += queries) {
        const ofQueries = { ...stretch, allRows: plan.queries, firstRow, rows: Math.min(queries, plan.queries - firstRow) };
        engine.scope(() => {
          const parts = run(keys, ofQueries);
          mapValues(to.byQuery, (_, name) => put(parts[name], whole[name], ofQueries));
          mapValues(to.byKey, (_, name) => (firstRow > 0 ? add(parts[name], whole[name], ofKeys) : put(parts[name], whole[name], ofKeys)));
        });
      }
    });
  }
  return whole;
}

/** A stretch of pairs, and of each of them a stretch of rows, among all. */
interface Block {
  allPairs: number;
  firstPair: number;
  pairs: number;
  allRows: number;
  firstRow: number;
  rows: number;
}

/** The block of `x`, as `shape`: a copy, unless it is all. */
function take(x: Tensor, block: Block, shape: Shape): Tensor {
  if (sizeOf(shape) === x.size) return x.alias(shape);
  const part = x.engine.empty(shape);
  const { inWhole, inPart, rowBytes } = placesOf(part, x, block);
  copyRows(x.engine.device, inWhole, inPart, block.pairs, rowBytes);
  return part;
}

/** Writes `part` into its block of `whole`. */
function put(part: Tensor, whole: Tensor, block: Block): void {
  const { inWhole, inPart, rowBytes } = placesOf(part, whole, block);
  copyRows(part.engine.device, inPart, inWhole, block.pairs, rowBytes);
}

/** Adds `part` to its pairs of `whole`. */
function add(part: Tensor, whole: Tensor, block: Block): void {
  addInto(part.engine.device, part.view, { buffer: whole.view.buffer, offset: placesOf(part, whole, block).inWhole.offset, bytes: part.bytes });
}

/** The rows of each pair, as one row of `copyRows`. */
function placesOf(part: Tensor, whole: Tensor, { allPairs, firstPair, pairs, allRows, firstRow }: Block): { inWhole: RowsInBuffer; inPart: RowsInBuffer; rowBytes: number } {
  const rowBytes = part.bytes / pairs;
  const stride = whole.bytes / allPairs;
  const offset = whole.view.offset + firstPair * stride + firstRow * (stride / allRows);
  return { inWhole: { buffer: whole.view.buffer, offset, stride }, inPart: { buffer: part.view.buffer, offset: part.view.offset, stride: rowBytes }, rowBytes };
}

function mapValues<Name extends string, A, B>(record: Record<Name, A>, change: (value: A, name: Name) => B): Record<Name, B> {
  return Object.fromEntries((Object.entries(record) as [Name, A][]).map(([name, value]) => [name, change(value, name)])) as Record<Name, B>;
}
