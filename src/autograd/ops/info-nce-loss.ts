import pairsSource from '../../../kernels/info-nce-loss.pairs.wgsl';
import statisticsSource from '../../../kernels/info-nce-loss.statistics.wgsl';
import { check, defineKernel, type SplitAxis } from '../../engine/index.ts';
import { isGradEnabled } from '../grad-mode.ts';
import { defineOp, runKernel } from '../op.ts';
import { chunksOf, narrowedStrides } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { columnSum, rowChunks } from './column-sum.ts';
import { matchCodes, type PairMatches } from './pair-matches.ts';
import { checkPairs } from './sig-lip-loss.ts';
import { tileProduct } from './tile-product.ts';
import { unitRows } from './normalize.ts';
import { scalarProduct, unitRowsBackward, unitRowsBackwardReference, unitRowsReference } from './unit-rows.ts';

const statisticsKernel = defineKernel({
  label: 'info-nce-loss.statistics',
  source: statisticsSource,
  inputs: ['dots', 'log_scale'],
  outputs: ['lse'],
  params: { lines: 'u32', length: 'u32', line_stride: 'u32', step_stride: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ lines }) => lines!,
  split: ({ lines, line_stride, step_stride }) => [
    {
      extent: lines!,
      bindings: { dots: { inner: line_stride! }, lse: {} },
      params: (_, count) => ({ lines: count, step_stride: narrowedStrides([step_stride!], line_stride!, lines!, count)[0]! }),
    },
  ],
});

const pairsKernel = defineKernel({
  label: 'info-nce-loss.pairs',
  source: pairsSource,
  inputs: ['codes', 'shares', 'image_lse', 'text_lse', 'log_scale'],
  outputs: ['pairs', 'sums'],
  params: { images: 'u32', texts: 'u32', first_image: 'u32', first_text: 'u32', all_images: 'u32', all_texts: 'u32', rows_per_chunk: 'u32', chunks: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ texts, chunks }, { WORKGROUP_SIZE }) => Math.ceil((texts! * chunks!) / WORKGROUP_SIZE!),
  split: ({ images, texts, first_image, first_text, rows_per_chunk: unit, chunks }): SplitAxis[] => [
    {
      extent: images!,
      unit: unit!,
      bindings: { pairs: {}, image_lse: {}, sums: chunksOf(unit!, chunks!) },
      params: (first, count) => ({ images: count, first_image: first_image! + first, chunks: Math.ceil(count / unit!) }),
    },
    {
      extent: texts!,
      bindings: { pairs: { inner: 1 }, text_lse: {}, sums: { outer: chunks! } },
      params: (first, count) => ({ texts: count, first_text: first_text! + first }),
    },
  ],
});

/**
 * Symmetric InfoNCE over unit rows (Radford et al. 2021; CT-CLIP, MODEL §1.2), as [1]: the mean cross-entropy of each image over
 * the texts and of each text over the images, halved and added, with logits e^logScale · x_i·y_j.
 *
 * `u` [I, C] and `v` [J, C] are not normalised; `logScale` [1] or []. Where a row has several matches, its target is uniform over them
 * [O]; CT-CLIP knows one match a row, the diagonal. Gradients: u, v, logScale, computed with the loss. Saves the unit rows and
 * their gradients; holds all I · J pairs while it runs.
 *
 * @throws EngineError where shapes or ids do not fit, or an image or text has no match
 */
export const infoNceLoss = defineOp('infoNceLoss', (u: Tensor, v: Tensor, logScale: Tensor, ids: PairMatches = {}): Tensor => {
  const { images, texts, columns } = checkPairs('infoNceLoss', u, v, { logScale });
  const { engine } = u;
  const { imageCodes, textCodes } = matchCodes(images, texts, ids, 'infoNceLoss');
  const shares = [...matchShares(imageCodes, textCodes, 'image'), ...matchShares(textCodes, imageCodes, 'text')];
  const x = unitRows(u);
  const y = unitRows(v);
  const pairs = engine.empty([images, texts]);
  tileProduct(x.y, { row: columns, column: 1 }, y.y, { row: 1, column: columns }, pairs, { rows: images, steps: columns, columns: texts });
  const imageLse = engine.empty([images]);
  const textLse = engine.empty([texts]);
  runKernel(statisticsKernel, { dots: pairs, log_scale: logScale, lse: imageLse }, { lines: images, length: texts, line_stride: texts, step_stride: 1 });
  runKernel(statisticsKernel, { dots: pairs, log_scale: logScale, lse: textLse }, { lines: texts, length: images, line_stride: 1, step_stride: texts });
  const { rows_per_chunk, chunks } = rowChunks(images);
  const parts = engine.empty([chunks * texts, 2]);
  runKernel(
    pairsKernel,
    { codes: engine.tensor(Uint32Array.from([...imageCodes, ...textCodes])), shares: engine.tensor(shares), image_lse: imageLse, text_lse: textLse, log_scale: logScale, pairs, sums: parts },
    { images, texts, first_image: 0, first_text: 0, all_images: images, all_texts: texts, rows_per_chunk, chunks },
  );
  const sums = columnSum(parts, chunks * texts, 2);
  const loss = scalarProduct(sums, 0, engine.full([1], 1));
  if (!isGradEnabled() || ![u, v, logScale].some((input) => input.requiresGrad)) return loss;
  const gX = engine.empty(u.shape);
  const gY = engine.empty(v.shape);
  tileProduct(pairs, { row: texts, column: 1 }, y.y, { row: columns, column: 1 }, gX, { rows: images, steps: texts, columns });
  tileProduct(pairs, { row: 1, column: texts }, x.y, { row: columns, column: 1 }, gY, { rows: texts, steps: images, columns });
  const saved = { x: x.y, normX: x.norm, gX, y: y.y, normY: y.norm, gY, sums, scale: logScale };
  return record(loss, 'infoNceLoss', [u, v, logScale], saved, (dY, held, [needsU, needsV, needsScale]) => [
    needsU ? unitRowsBackward(held.x, held.normX, held.gX, held.scale, dY) : null,
    needsV ? unitRowsBackward(held.y, held.normY, held.gY, held.scale, dY) : null,
    needsScale ? scalarProduct(held.sums, 1, dY, logScale.shape) : null,
  ]);
});

/** 1 / number of matches of each item. Throws where one has none: its cross-entropy is undefined. */
function matchShares(items: Uint32Array, others: Uint32Array, what: string): number[] {
  const counts = new Map<number, number>();
  for (const code of others) counts.set(code, (counts.get(code) ?? 0) + 1);
  return Array.from(items, (code, index) => {
    const count = counts.get(code) ?? 0;
    check(count > 0, 'infoNceLoss', () => `${what} ${index} must match at least one ${what === 'image' ? 'text' : 'image'}, got none; leave it out or use sigLipLoss`);
    return 1 / count;
  });
}

/** Float64 reference of `infoNceLoss`: its value and gradients. */
export function infoNceLossReference(
  { u, v, logScale }: { u: Float64Array; v: Float64Array; logScale: Float64Array },
  columns: number,
  matched: (image: number, text: number) => boolean = (i, j) => i === j,
): { loss: number; u: Float64Array; v: Float64Array; logScale: Float64Array } {
  const x = unitRowsReference(u, columns);
  const y = unitRowsReference(v, columns);
  const images = x.rnorm.length;
  const texts = y.rnorm.length;
  const scale = Math.exp(logScale[0]!);
  const logits = new Float64Array(images * texts);
  for (let i = 0; i < images; i++) for (let j = 0; j < texts; j++) for (let c = 0; c < columns; c++) logits[i * texts + j]! += scale * x.y[i * columns + c]! * y.y[j * columns + c]!;
  const g = new Float64Array(logits.length);
  let loss = 0;
  const addLines = (lines: number, length: number, at: (line: number, k: number) => number, isMatch: (line: number, k: number) => boolean): void => {
    for (let line = 0; line < lines; line++) {
      const steps = Array.from({ length }, (_, k) => k);
      const lse = Math.log(steps.reduce((sum, k) => sum + Math.exp(logits[at(line, k)]!), 0));
      const count = steps.filter((k) => isMatch(line, k)).length;
      for (const k of steps) {
        const share = isMatch(line, k) ? 1 / count : 0;
        loss += (0.5 * share * (lse - logits[at(line, k)]!)) / lines;
        g[at(line, k)]! += (0.5 * (Math.exp(logits[at(line, k)]! - lse) - share)) / lines;
      }
    }
  };
  addLines(images, texts, (i, j) => i * texts + j, matched);
  addLines(texts, images, (j, i) => i * texts + j, (j, i) => matched(i, j));
  const dX = new Float64Array(u.length);
  const dV = new Float64Array(v.length);
  let dScale = 0;
  for (let i = 0; i < images; i++) {
    for (let j = 0; j < texts; j++) {
      const weight = g[i * texts + j]!;
      dScale += weight * logits[i * texts + j]!;
      for (let c = 0; c < columns; c++) {
        dX[i * columns + c]! += scale * weight * y.y[j * columns + c]!;
        dV[j * columns + c]! += scale * weight * x.y[i * columns + c]!;
      }
    }
  }
  return {
    loss,
    u: unitRowsBackwardReference(x.y, x.rnorm, dX, columns),
    v: unitRowsBackwardReference(y.y, y.rnorm, dV, columns),
    logScale: Float64Array.of(dScale),
  };
}
