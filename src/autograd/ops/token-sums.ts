import affineSource from '../../../kernels/token-affine.wgsl';
import channelSource from '../../../kernels/channel-sum.wgsl';
import tokenRowsSource from '../../../kernels/token-sum.rows.wgsl';
import tokenSource from '../../../kernels/token-sum.wgsl';
import { defineKernel, type SplitAxis } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import { chunksOf, innermost, layouts } from '../split-axes.ts';
import type { Tensor } from '../tensor.ts';
import { byRow, runRows, type RowPlan } from './row-plan.ts';

const channelSumKernel = defineKernel({
  label: 'channel-sum',
  source: channelSource,
  inputs: ['x', 'mean', 'w'],
  outputs: ['y'],
  params: { batches: 'u32', tokens: 'u32', channels: 'u32', tokens_per_chunk: 'u32', chunks: 'u32', scale: 'f32' },
  constants: { WORKGROUP_SIZE: 64, KIND: 0 },
  workgroups: ({ batches, channels, chunks }, { WORKGROUP_SIZE }) => Math.ceil((batches! * channels! * chunks!) / WORKGROUP_SIZE!),
  split: ({ batches, tokens, channels, tokens_per_chunk: unit, chunks }): SplitAxis[] => [
    { extent: batches!, bindings: { x: {}, mean: {}, w: {}, y: {} }, params: (_, count) => ({ batches: count }) },
    {
      extent: tokens!,
      unit: unit!,
      bindings: { x: { outer: batches! }, w: { outer: batches! }, y: chunksOf(unit!, chunks!, batches!) },
      params: (_, count) => ({ tokens: count, chunks: Math.ceil(count / unit!) }),
    },
    innermost('channels', channels!, 'x', 'mean', 'y'),
  ],
});

const tokenSumKernel = defineKernel({
  label: 'token-sum',
  source: tokenSource,
  inputs: ['x', 'z', 'a', 'w'],
  outputs: ['y'],
  params: { rows: 'u32', tokens: 'u32', channels: 'u32', scale: 'f32' },
  constants: { WORKGROUP_SIZE: 64, KIND: 0 },
  workgroups: ({ rows }) => rows!,
  split: (params) => batchAndTokenAxes(params, ['a'], ['x', 'z', 'w', 'y']),
});

const tokenSumRowsKernel = defineKernel({ ...tokenSumKernel, ...byRow, label: 'token-sum.rows', source: tokenRowsSource, constants: { ...byRow.constants, KIND: 0 } });

const tokenAffineKernel = defineKernel({
  label: 'token-affine',
  source: affineSource,
  inputs: ['x', 'z', 'a', 'w', 'v', 'offset'],
  outputs: ['dx'],
  params: { rows: 'u32', tokens: 'u32', channels: 'u32', scale: 'f32' },
  constants: { WORKGROUP_SIZE: 64, KIND: 0 },
  workgroups: ({ rows, channels }, { WORKGROUP_SIZE }) => Math.ceil((rows! * channels!) / WORKGROUP_SIZE!),
  split: (params) => batchAndTokenAxes(params, ['a', 'v', 'offset'], ['x', 'z', 'w', 'dx']),
});

/** Bindings with a batch axis, and those that have a token axis after it. */
function batchAndTokenAxes({ rows, tokens }: Record<string, number>, byBatch: string[], byToken: string[]): SplitAxis[] {
  const batches = rows! / tokens!;
  return [
    { extent: batches, bindings: layouts([...byBatch, ...byToken], {}), params: (_, count) => ({ rows: count * tokens! }) },
    { extent: tokens!, bindings: layouts(byToken, { outer: batches }), params: (_, count) => ({ rows: batches * count, tokens: count }) },
  ];
}

const tokensPerChunk = 128;

const channelKinds = { value: 0, square: 1, magnitude: 2, weightedDeviation: 3 } as const;
const tokenKinds = { squaredDeviation: 0, magnitude: 1, squaredDifference: 2, square: 3, maskedDifference: 4 } as const;
const affineKinds = { tokenEnergy: 0, channelEnergy: 1, maskedAlignment: 2, relativeDistance: 3 } as const;

/** scale · Σ_n of a term of `x` [B, N, C]: [B, C]. No gradient: a part of the FAST ops. Deterministic. */
export function channelSum(x: Tensor, kind: keyof typeof channelKinds, { scale = 1, mean, w }: { scale?: number; mean?: Tensor; w?: Tensor } = {}): Tensor {
  const { engine } = x;
  const [batches, tokens, channels] = x.shape as [number, number, number];
  const chunks = Math.ceil(tokens / tokensPerChunk);
  const last = chunks === 1;
  const y = engine.empty(last ? [batches, channels] : [batches, chunks, channels]);
  const none = engine.zeros([1]);
  runKernel(
    channelSumKernel,
    { x, mean: mean ?? none, w: w ?? none, y },
    { batches, tokens, channels, tokens_per_chunk: tokensPerChunk, chunks, scale: last ? scale : 1 },
    { KIND: channelKinds[kind] },
  );
  return last ? y : channelSum(y, 'value', { scale });
}

/** scale · Σ_c of a term of `x` [B, N, C]: [B, N]. No gradient. `plan` is for tests. */
export function tokenSum(x: Tensor, kind: keyof typeof tokenKinds, { scale = 1, plan, ...operands }: { scale?: number; plan?: RowPlan; z?: Tensor; a?: Tensor; w?: Tensor } = {}): Tensor {
  const { engine } = x;
  const [batches, tokens, channels] = x.shape as [number, number, number];
  const none = engine.zeros([1]);
  const y = engine.empty([batches, tokens]);
  runRows(`tokenSum.${kind}`, { row: tokenSumRowsKernel, workgroup: tokenSumKernel }, ['rows', 'channels'], { x, z: none, a: none, w: none, ...operands, y }, { rows: batches * tokens, tokens, channels, scale }, { plan, constants: { KIND: tokenKinds[kind] } });
  return y;
}

/** The element-wise end of a backward pass: see kernels/token-affine.wgsl. */
export function tokenAffine(x: Tensor, kind: keyof typeof affineKinds, scale: number, operands: { z?: Tensor; a?: Tensor; w?: Tensor; v?: Tensor; offset?: Tensor }): Tensor {
  const { engine } = x;
  const [batches, tokens, channels] = x.shape as [number, number, number];
  const none = engine.zeros([1]);
  const dx = engine.empty(x.shape);
  runKernel(
    tokenAffineKernel,
    { x, z: none, a: none, w: none, v: none, offset: none, ...operands, dx },
    { rows: batches * tokens, tokens, channels, scale },
    { KIND: affineKinds[kind] },
  );
  return dx;
}

/** Σ of each row of `x` [B, N]: [B]. */
export function rowSum(x: Tensor): Tensor {
  const [batches, columns] = x.shape as [number, number];
  return channelSum(x.alias([batches, columns, 1]), 'value').alias([batches]);
}
