import backwardRowsSource from '../../../kernels/attention-gram.backward-rows.wgsl';
import backwardSource from '../../../kernels/attention-gram.backward.wgsl';
import forwardSource from '../../../kernels/attention-gram.forward.wgsl';
import symmetrizeSource from '../../../kernels/attention-gram.symmetrize.wgsl';
import { defineKernel, type SplitAxis } from '../../engine/index.ts';
import { noGrad } from '../grad-mode.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { affine } from './affine.ts';
import { add, mul } from './binary.ts';
import { gemm } from './matmul.ts';
import { transpose } from './permute.ts';
import { byRow, runRows, type RowPlan } from './row-plan.ts';
import { tileProduct } from './tile-product.ts';

const TILE = 4;

const forwardKernel = defineKernel({
  label: 'attention-gram.forward',
  source: forwardSource,
  inputs: ['f', 'm'],
  outputs: ['g'],
  params: { batches: 'u32', tokens: 'u32', channels: 'u32', tiles: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ batches, tiles }, { WORKGROUP_SIZE }) => Math.ceil((batches! * tiles!) / WORKGROUP_SIZE!),
  split: ({ batches, tokens }): SplitAxis[] => [
    { extent: batches!, bindings: { f: {}, m: {}, g: {} }, params: (_, count) => ({ batches: count }) },
    { extent: tokens!, bindings: { f: { outer: batches! }, m: { outer: batches! } }, params: (_, count) => ({ tokens: count }), sums: ['g'] },
  ],
});

const symmetrizeKernel = defineKernel({
  label: 'attention-gram.symmetrize',
  source: symmetrizeSource,
  inputs: ['dg'],
  outputs: ['d'],
  params: { batches: 'u32', channels: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ batches, channels }, { WORKGROUP_SIZE }) => Math.ceil((batches! * channels! ** 2) / WORKGROUP_SIZE!),
  slab: { param: 'batches', bindings: ['dg', 'd'] },
});

const backwardKernel = defineKernel({
  label: 'attention-gram.backward',
  source: backwardSource,
  inputs: ['f', 'm'],
  outputs: ['h', 'dm'],
  params: { rows: 'u32', channels: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['f', 'm', 'h', 'dm'] },
});

const backwardRowsKernel = defineKernel({ ...backwardKernel, ...byRow, label: 'attention-gram.backward-rows', source: backwardRowsSource });

export interface AttentionGramOptions {
  /** Of the backward pass; chosen by the adapter unless given (for tests). */
  plan?: RowPlan;
}

/**
 * Gram matrices weighted by an attention map (MODEL §4.3): G[b] = Σ_n m[b,n] f[b,n] f[b,n]ᵀ.
 *
 * `f` [B, N, C], `m` [B, N]; gives [B, C, C]. Uniform m = 1/N is the Gram matrix of Gatys et al. 2016. Saves f and m.
 * Gradients, with D the symmetrised dG: df_n = 2 m_n D f_n, dm_n = f_nᵀ D f_n.
 */
export const attentionGram = defineOp('attentionGram', (f: Tensor, m: Tensor, { plan }: AttentionGramOptions = {}): Tensor => {
  checkTensor(f, 'attentionGram', 'f', [null, null, null]);
  const [batches, tokens, channels] = f.shape as [number, number, number];
  checkTensor(m, 'attentionGram', 'm', [batches, tokens]);
  checkDType(f, 'attentionGram', 'f');
  checkDType(m, 'attentionGram', 'm');
  const { engine } = f;
  const isLarge = 4 * channels ** 2 > engine.device.bindingLimit; // the tiles of one matrix are written in one piece
  const g = isLarge ? noGrad(() => gemm(f, mul(f, m.alias([batches, tokens, 1])), { transposeA: true })) : gram(f, m);
  return record(g, 'attentionGram', [f, m], { f, m }, (dY, saved, [needsF, needsM]) => {
    const d = isLarge ? affine(add(dY, transpose(dY, 1, 2)), 0.5, 0) : symmetrized(dY);
    const h = engine.empty(saved.f.shape);
    const dM = engine.empty(saved.m.shape);
    tileProduct(saved.f, { batch: tokens * channels, row: channels, column: 1 }, d, { batch: channels ** 2, row: channels, column: 1 }, h, { batches, rows: tokens, steps: channels, columns: channels });
    runRows('attentionGram.backward', { row: backwardRowsKernel, workgroup: backwardKernel }, ['rows', 'channels'], { f: saved.f, m: saved.m, h, dm: dM }, { rows: batches * tokens, channels }, { plan, inPlace: ['h'] });
    return [needsF ? h : null, needsM ? dM : null];
  });
});

function gram(f: Tensor, m: Tensor): Tensor {
  const [batches, tokens, channels] = f.shape as [number, number, number];
  const g = f.engine.empty([batches, channels, channels]);
  const edge = Math.ceil(channels / TILE);
  runKernel(forwardKernel, { f, m, g }, { batches, tokens, channels, tiles: (edge * (edge + 1)) / 2 });
  return g;
}

function symmetrized(dG: Tensor): Tensor {
  const d = dG.engine.empty(dG.shape);
  runKernel(symmetrizeKernel, { dg: dG, d }, { batches: dG.shape[0]!, channels: dG.shape[1]! });
  return d;
}

export interface GramShape {
  batches: number;
  tokens: number;
  channels: number;
}

/** Float64 reference of `attentionGram`. */
export function attentionGramReference(f: Float64Array, m: Float64Array, { batches, tokens, channels }: GramShape): Float64Array {
  const g = new Float64Array(batches * channels * channels);
  for (let row = 0; row < batches * tokens; row++) {
    const at = Math.floor(row / tokens) * channels * channels;
    for (let r = 0; r < channels; r++) for (let c = 0; c < channels; c++) g[at + r * channels + c]! += m[row]! * f[row * channels + r]! * f[row * channels + c]!;
  }
  return g;
}

/** Gradients of `attentionGramReference`. */
export function attentionGramBackwardReference(f: Float64Array, m: Float64Array, dG: Float64Array, { batches, tokens, channels }: GramShape): { f: Float64Array; m: Float64Array } {
  const dF = new Float64Array(f.length);
  const dM = new Float64Array(m.length);
  for (let row = 0; row < batches * tokens; row++) {
    const at = Math.floor(row / tokens) * channels * channels;
    for (let r = 0; r < channels; r++) {
      let h = 0;
      for (let c = 0; c < channels; c++) h += 0.5 * (dG[at + r * channels + c]! + dG[at + c * channels + r]!) * f[row * channels + c]!;
      dF[row * channels + r] = 2 * m[row]! * h;
      dM[row]! += f[row * channels + r]! * h;
    }
  }
  return { f: dF, m: dM };
}
