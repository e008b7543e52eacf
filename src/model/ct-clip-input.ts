/** CT-CLIP's input in CtLite's terms: its grid, and the axes that differ. */
import { ops, type Tensor } from '../autograd/index.ts';
import { inferCtClip, type CtClipOptions } from './ct-clip.ts';
import { resolvePatch } from './ct-vit-config.ts';
import type { WeightSource } from './weight-source.ts';

/** Field of view of CT-CLIP's input in every axis, mm: 240 · 1.5 and 480 · 0.75. */
const fieldOfViewMm = 360;

export interface CtClipGeometry {
  /** Shape and spacing [z, y, x] in mm of its input in CtLite's axes: towards S, P, L. */
  input: { shape: [number, number, number]; spacingMm: [number, number, number] };
  /** Token grid in CtLite's axes. */
  grid: [number, number, number];
  width: number;
}

/**
 * What a CT-CLIP checkpoint takes in and gives out, read off its shapes: nothing is loaded. The weights do not tell how many frames
 * a volume has, nor whether images are square: the released ones are a cube of tokens, and so is what is assumed here.
 */
export function ctClipGeometry(source: WeightSource, options: Pick<CtClipOptions, 'patch'> = {}): CtClipGeometry {
  const { config, tokens } = inferCtClip(source, options.patch);
  const side = Math.sqrt(tokens);
  const pixels = Math.sqrt(config.patchArea);
  const [p1, p2] = options.patch ? [options.patch[1], options.patch[2]] : [pixels, pixels];
  if (!Number.isInteger(side) || !Number.isInteger(p1)) throw new Error(`ctClipGeometry: ${source.name}: ${tokens} tokens of ${config.patchArea} pixels a frame are no square of squares; pass { patch: [frames, rows, columns] }`);
  // Its axes are (S, L, P), ours (S, P, L).
  const shape: [number, number, number] = [side * config.patchFrames, side * p2, side * p1];
  resolvePatch(config.patchFrames, config.patchArea, tokens, [shape[0], shape[2], shape[1]]);
  return { input: { shape, spacingMm: shape.map((size) => fieldOfViewMm / size) as [number, number, number] }, grid: [side, side, side], width: config.width };
}

/** x [B, 1, D, Y, X] → [B, 1, D, X, Y], a volume's slices at a time where no binding takes it whole. No gradient then. */
export function exchangeInPlane(x: Tensor): Tensor {
  const { engine } = x;
  const [batch, , depth, height, width] = x.shape as [number, number, number, number, number];
  if (x.bytes <= engine.device.bindingLimit) return ops.permute(x, [0, 1, 2, 4, 3]);
  const y = engine.empty([batch, 1, depth, width, height]);
  const sliceBytes = 4 * height * width;
  const together = Math.max(1, Math.floor(engine.device.bindingLimit / sliceBytes));
  for (let first = 0; first < batch * depth; first += together) {
    engine.scope(() => {
      const count = Math.min(together, batch * depth - first);
      const piece = engine.empty([count, height, width]);
      const place = { offset: first * sliceBytes, bytes: piece.bytes };
      engine.device.copy({ ...x.view, ...place }, piece.view);
      engine.device.copy(ops.permute(piece, [0, 2, 1]).view, { ...y.view, ...place });
    });
  }
  return y;
}
