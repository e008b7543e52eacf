import pairsSource from '../../../kernels/sig-lip-loss.pairs.wgsl';
import { check, defineKernel, type SplitAxis } from '../../engine/index.ts';
import { accumulate } from '../accumulate.ts';
import { isGradEnabled } from '../grad-mode.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { chunksOf } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { columnSum, rowChunks } from './column-sum.ts';
import { matchCodes, type PairMatches } from './pair-matches.ts';
import { tileProduct } from './tile-product.ts';
import { unitRows } from './normalize.ts';
import { scalarProduct, unitRowsBackward, unitRowsBackwardReference, unitRowsReference } from './unit-rows.ts';

export interface SigLipLossOptions extends PairMatches {
  /** In place of ids: [images · texts], 1 where image i belongs to text j. */
  matches?: Uint8Array;
  /** Texts whose pairs are held at once: memory is images · chunkSize. Default 1024. */
  chunkSize?: number;
}

const defaultChunkSize = 1024;

const pairsKernel = defineKernel({
  label: 'sig-lip-loss.pairs',
  source: pairsSource,
  inputs: ['image_ids', 'text_ids', 'matches', 'log_scale', 'bias'],
  outputs: ['pairs', 'sums'],
  params: { images: 'u32', texts: 'u32', first_text: 'u32', all_texts: 'u32', all_images: 'u32', rows_per_chunk: 'u32', chunks: 'u32', has_matches: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ texts, chunks }, { WORKGROUP_SIZE }) => Math.ceil((texts! * chunks!) / WORKGROUP_SIZE!),
  split: ({ images, texts, first_text, rows_per_chunk: unit, chunks }): SplitAxis[] => [
    {
      extent: images!,
      unit: unit!,
      bindings: { image_ids: {}, matches: {}, pairs: {}, sums: chunksOf(unit!, chunks!) },
      params: (_, count) => ({ images: count, chunks: Math.ceil(count / unit!) }),
    },
    {
      extent: texts!,
      bindings: { pairs: { inner: 1 }, sums: { outer: chunks! } },
      params: (first, count) => ({ texts: count, first_text: first_text! + first }),
    },
  ],
});

/**
 * The sigmoid loss of SigLIP (Zhai et al. 2023; google-research/big_vision siglip.py), all pairs, as [1]:
 * L = (1/I) Σ_ij softplus(−z_ij ℓ_ij), ℓ_ij = e^logScale · x_i·y_j + bias, x = u/‖u‖, y = v/‖v‖, z = +1 where matched else −1.
 *
 * `u` [I, C] and `v` [J, C] are not normalised; `logScale` and `bias` [1] or []. Gradients: all four, by closed forms computed chunk
 * of texts by chunk of texts together with the loss (the output is a scalar, so backward only scales them). Saves the unit rows
 * and their gradients; never holds more than I · chunkSize pairs.
 *
 * @throws EngineError where shapes, ids or matches do not fit
 */
export const sigLipLoss = defineOp('sigLipLoss', (u: Tensor, v: Tensor, logScale: Tensor, bias: Tensor, options: SigLipLossOptions = {}): Tensor => {
  const { images, texts, columns } = checkPairs('sigLipLoss', u, v, { logScale, bias });
  const { matches, chunkSize = defaultChunkSize } = options;
  check(Number.isSafeInteger(chunkSize) && chunkSize > 0, 'sigLipLoss', () => `chunkSize must be a positive whole number, got ${chunkSize}`);
  check(!matches || !(options.imageIds || options.textIds), 'sigLipLoss', () => 'takes ids or matches, got both');
  check(!matches || matches.length === images * texts, 'sigLipLoss', () => `matches must hold ${images} · ${texts} values, got ${matches!.length}`);
  const { engine } = u;
  const codes = matchCodes(images, texts, options, 'sigLipLoss');
  const masks = {
    image_ids: engine.tensor(codes.imageCodes),
    text_ids: engine.tensor(codes.textCodes),
    matches: engine.tensor(matches ? Uint32Array.from(matches) : new Uint32Array(1)),
  };
  const x = unitRows(u);
  const y = unitRows(v);
  const wantsGradient = isGradEnabled() && [u, v, logScale, bias].some((input) => input.requiresGrad);
  const gX = wantsGradient ? engine.empty(u.shape) : null;
  const gY = wantsGradient ? engine.empty(v.shape) : null;
  const { rows_per_chunk, chunks } = rowChunks(images);
  let sums: Tensor | null = null;
  for (let first = 0; first < texts; first += chunkSize) {
    const count = Math.min(chunkSize, texts - first);
    const pairs = engine.empty([images, count]);
    const parts = engine.empty([chunks * count, 3]);
    const texty = { first: first * columns, row: columns, column: 1 };
    tileProduct(x.y, { row: columns, column: 1 }, y.y, { first: first * columns, row: 1, column: columns }, pairs, { rows: images, steps: columns, columns: count });
    const params = { images, texts: count, first_text: first, all_texts: texts, all_images: images, rows_per_chunk, chunks, has_matches: Number(matches !== undefined) };
    runKernel(pairsKernel, { ...masks, log_scale: logScale, bias, pairs, sums: parts }, params);
    sums = accumulate(sums, columnSum(parts, chunks * count, 3));
    if (gX && gY) {
      tileProduct(pairs, { row: count, column: 1 }, y.y, texty, gX, { rows: images, steps: count, columns }, { accumulate: first > 0 });
      tileProduct(pairs, { row: 1, column: count }, x.y, { row: columns, column: 1 }, gY, { rows: count, steps: images, columns }, { yFirst: first * columns });
    }
    pairs.dispose();
    parts.dispose();
  }
  const loss = scalarProduct(sums!, 0, engine.full([1], 1));
  const saved = { x: x.y, normX: x.norm, gX, y: y.y, normY: y.norm, gY, sums: sums!, scale: logScale };
  return record(loss, 'sigLipLoss', [u, v, logScale, bias], saved, (dY, held, [needsU, needsV, needsScale, needsBias]) => [
    needsU ? unitRowsBackward(held.x, held.normX, held.gX!, held.scale, dY) : null,
    needsV ? unitRowsBackward(held.y, held.normY, held.gY!, held.scale, dY) : null,
    needsScale ? scalarProduct(held.sums, 1, dY, logScale.shape) : null,
    needsBias ? scalarProduct(held.sums, 2, dY, bias.shape) : null,
  ]);
});

/** Checks the operands of a contrastive loss and gives their sizes. */
export function checkPairs(op: string, u: Tensor, v: Tensor, scalars: Record<string, Tensor>): { images: number; texts: number; columns: number } {
  checkTensor(u, op, 'u', [null, null]);
  const [images, columns] = u.shape as [number, number];
  checkTensor(v, op, 'v', [null, columns]);
  checkDType(u, op, 'u');
  checkDType(v, op, 'v');
  for (const [name, tensor] of Object.entries(scalars)) {
    // PyTorch's scalars have no axis.
    if (tensor.shape.length > 0) checkTensor(tensor, op, name, [1]);
    checkDType(tensor, op, name);
  }
  return { images, texts: v.shape[0]!, columns };
}

export interface PairInputs {
  u: Float64Array;
  v: Float64Array;
  logScale: Float64Array;
  bias: Float64Array;
}

/** Float64 reference of `sigLipLoss`: its value and gradients. `matched(i, j)` says which pairs belong together. */
export function sigLipLossReference(
  { u, v, logScale, bias }: PairInputs,
  columns: number,
  matched: (image: number, text: number) => boolean = (i, j) => i === j,
): { loss: number } & PairInputs {
  const x = unitRowsReference(u, columns);
  const y = unitRowsReference(v, columns);
  const images = x.rnorm.length;
  const scale = Math.exp(logScale[0]!);
  const dX = new Float64Array(u.length);
  const dV = new Float64Array(v.length);
  let loss = 0;
  let dScale = 0;
  let dBias = 0;
  for (let i = 0; i < images; i++) {
    for (let j = 0; j < y.rnorm.length; j++) {
      let dot = 0;
      for (let c = 0; c < columns; c++) dot += x.y[i * columns + c]! * y.y[j * columns + c]!;
      const logit = scale * dot + bias[0]!;
      const v = matched(i, j) ? -logit : logit;
      loss += (Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)))) / images;
      const g = (1 / (1 + Math.exp(-logit)) - Number(matched(i, j))) / images;
      dScale += g * scale * dot;
      dBias += g;
      for (let c = 0; c < columns; c++) {
        dX[i * columns + c]! += scale * g * y.y[j * columns + c]!;
        dV[j * columns + c]! += scale * g * x.y[i * columns + c]!;
      }
    }
  }
  return {
    loss,
    u: unitRowsBackwardReference(x.y, x.rnorm, dX, columns),
    v: unitRowsBackwardReference(y.y, y.rnorm, dV, columns),
    logScale: Float64Array.of(dScale),
    bias: Float64Array.of(dBias),
  };
}
