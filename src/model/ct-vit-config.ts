/** Hyper-parameters of a CTViT, read off the shapes of its released state dictionary (MODEL §1.3). */
import type { CtVitConfig } from './ct-vit.ts';
import type { WeightSource } from './weight-source.ts';

type Patch = readonly [number, number, number];

/**
 * @param source keys without the `visual_transformer.` before them
 * @param patch [frames, rows, columns] of a patch where no first-frame tensor tells its area
 * @throws Error naming the tensor that is missing or has an impossible shape
 */
export function inferCtVitConfig(source: WeightSource, patch?: Patch): CtVitConfig {
  const fail = (rule: string): Error => new Error(`loadCtClip: ${source.name}: ${rule}; give a checkpoint of CT-CLIP (ct-lite convert FILE lists what a file holds)`);
  const shape = (name: string, rank: number): readonly number[] => {
    const found = source.tensors.get(name)?.shape;
    if (!found) throw fail(`tensor "visual_transformer.${name}" is missing`);
    if (found.length !== rank || found.some((size) => size < 1)) throw fail(`tensor "visual_transformer.${name}" must have ${rank} axes of at least 1, got [${found.join(', ')}]`);
    return found;
  };
  const layer = 'enc_spatial_transformer.layers.0';
  const [width, patchVolume] = shape('to_patch_emb.2.weight', 2) as [number, number];
  const headDim = shape(`${layer}.1.q_scale`, 1)[0]!;
  const inner = shape(`${layer}.1.to_q.weight`, 2)[0]!;
  if (inner % headDim) throw fail(`the ${inner} rows of ${layer}.1.to_q.weight are no multiple of the head dimension ${headDim}`);
  const heads = inner / headDim;
  const nullKv = source.tensors.get(`${layer}.1.null_kv`)?.shape;
  if (nullKv?.every((size) => size > 0)) throw fail(`${layer}.1.null_kv [${nullKv.join(', ')}] holds null keys, which CT-CLIP's released models have none of`);
  const patchArea = patch ? patch[1] * patch[2] : firstFrameLength(source);
  if (patchArea === null) throw fail('no first-frame tensor tells the area of a patch; pass { patch: [frames, rows, columns] }');
  const patchFrames = patchVolume / patchArea;
  if (!Number.isInteger(patchFrames) || (patch && patchFrames !== patch[0])) throw fail(`patches of ${patchVolume} values cannot be [${patch?.join(', ') ?? `frames, ${patchArea}`}]`);
  const biasLayers = 1 + count(source, (index) => `spatial_rel_pos_bias.net.${index}.0.weight`);
  return {
    width,
    heads,
    headDim,
    feedForward: shape(`${layer}.3.4.weight`, 2)[1]!,
    spatialLayers: count(source, (index) => `enc_spatial_transformer.layers.${index}.1.q_scale`),
    temporalLayers: count(source, (index) => `enc_temporal_transformer.layers.${index}.1.q_scale`),
    biasWidth: shape('spatial_rel_pos_bias.net.0.0.weight', 2)[0]!,
    biasLayers,
    codes: shape('vq._codebook.embed', 3)[1]!,
    patchFrames,
    patchArea,
  };
}

/** Tensors numbered 0, 1, 2 … without a gap. */
function count(source: WeightSource, name: (index: number) => string): number {
  let index = 0;
  while (source.tensors.has(name(index))) index++;
  return index;
}

/** Rows times columns of a patch: a frame of it, which the branch for the first frame embeds and the decoder gives back. */
function firstFrameLength(source: WeightSource): number | null {
  const names = ['to_patch_emb_first_frame.1.weight', 'to_patch_emb_first_frame.1.bias', 'to_pixels_first_frame.0.bias'];
  const found = names.map((name) => source.tensors.get(name)?.shape).find((shape) => shape?.length === 1 && shape[0]! > 0);
  return found?.[0] ?? null;
}

/**
 * Rows and columns of a patch for a video of `rows` × `columns`: a square where that fits, else those of a square grid, else the only
 * ones that fit. `tokens`: h·w of the projection head.
 * @throws Error naming the extents where nothing fits, or more than one pair
 */
export function resolvePatch(patchFrames: number, patchArea: number, tokens: number, [frames, rows, columns]: readonly [number, number, number]): [number, number, number] {
  const fits = (p1: number): boolean => patchArea % p1 === 0 && rows % p1 === 0 && columns % (patchArea / p1) === 0;
  const fail = (rule: string): Error => new Error(`CtClip.encode: ${rule}`);
  if (frames % patchFrames) throw fail(`the video's ${frames} frames must be a multiple of the patches' ${patchFrames}`);
  if ((rows * columns) / patchArea !== tokens) throw fail(`frames of ${rows} × ${columns} give ${(rows * columns) / patchArea} tokens of ${patchArea} pixels, the model was made for ${tokens}`);
  const square = Math.sqrt(patchArea);
  if (Number.isInteger(square) && fits(square)) return [patchFrames, square, square];
  const squareGrid = Math.sqrt(tokens);
  if (Number.isInteger(squareGrid) && fits(rows / squareGrid)) return [patchFrames, rows / squareGrid, columns / squareGrid];
  const found = Array.from({ length: patchArea }, (_, index) => index + 1).filter(fits);
  if (found.length !== 1) throw fail(`frames of ${rows} × ${columns} can be cut into patches of ${patchArea} pixels in ${found.length || 'no'} ways; ${found.length ? 'pass loadCtClip { patch: [frames, rows, columns] }' : 'give the image size the model was trained for'}`);
  return [patchFrames, found[0]!, patchArea / found[0]!];
}
