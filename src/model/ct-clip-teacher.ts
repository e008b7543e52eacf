import { ops, type Engine, type Tensor } from '../autograd/index.ts';
import { inferCtClip, loadCtClip, type CtClip, type CtClipOptions } from './ct-clip.ts';
import { resolvePatch } from './ct-vit-config.ts';
import type { EncoderOutput, VisionEncoder } from './encoder.ts';
import type { Tap } from './fast.ts';
import { Module } from './module.ts';
import type { WeightSource } from './weight-source.ts';

/** Field of view of CT-CLIP's input in every axis, mm: 240 · 1.5 and 480 · 0.75. */
const fieldOfViewMm = 360;

export interface CtClipTeacherGeometry {
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
export function ctClipTeacherGeometry(source: WeightSource, options: Pick<CtClipOptions, 'patch'> = {}): CtClipTeacherGeometry {
  const { config, tokens } = inferCtClip(source, options.patch);
  const side = Math.sqrt(tokens);
  const pixels = Math.sqrt(config.patchArea);
  const [p1, p2] = options.patch ? [options.patch[1], options.patch[2]] : [pixels, pixels];
  if (!Number.isInteger(side) || !Number.isInteger(p1)) throw new Error(`CtClipTeacher: ${source.name}: ${tokens} tokens of ${config.patchArea} pixels a frame are no square of squares; pass { patch: [frames, rows, columns] }`);
  // Its axes are (S, L, P), ours (S, P, L).
  const shape: [number, number, number] = [side * config.patchFrames, side * p2, side * p1];
  resolvePatch(config.patchFrames, config.patchArea, tokens, [shape[0], shape[2], shape[1]]);
  return { input: { shape, spacingMm: shape.map((size) => fieldOfViewMm / size) as [number, number, number] }, grid: [side, side, side], width: config.width };
}

/**
 * CT-CLIP as FAST's teacher: CtLite's volumes in, taps in CtLite's token order out. CtLite's axes run towards S, P, L, those of the
 * volumes CT-CLIP was trained on towards S, L, P (MODEL §1.5 [O]): the last two are exchanged on the way in and back on the way out.
 */
export class CtClipTeacher extends Module implements VisionEncoder {
  readonly clip: CtClip;
  readonly grid: readonly [number, number, number];
  readonly width: number;
  readonly input: CtClipTeacherGeometry['input'];

  /** Takes over `clip`: `dispose` frees it. */
  constructor(clip: CtClip, { grid, width, input }: CtClipTeacherGeometry) {
    super();
    this.clip = clip;
    this.grid = grid;
    this.width = width;
    this.input = input;
  }

  /** x [B, 1, D, Y, X] in [−1, 1] on the grid `input` → taps [B, N, C], and the pooled tokens in the order of CT-CLIP's head. */
  forward(x: Tensor): EncoderOutput {
    return x.engine.scope(() => {
      const { taps, pooled, grid } = this.clip.features(exchangeInPlane(x));
      const [t, h, w] = grid;
      const inOurOrder = (tokens: Tensor): Tensor => {
        const [batch, , channels] = tokens.shape as [number, number, number];
        return ops.reshape(ops.permute(ops.reshape(tokens, [batch, t, h, w, channels]), [0, 1, 3, 2, 4]), [batch, t * h * w, channels]);
      };
      const ours = ({ residual, features }: Tap): Tap => ({ residual: inOurOrder(residual), features: inOurOrder(features) });
      return { taps: [ours(taps[0]), ours(taps[1])], pooled };
    });
  }

  override dispose(): void {
    this.clip.dispose();
  }
}

/** x [B, 1, D, Y, X] → [B, 1, D, X, Y], a volume's slices at a time where no binding takes it whole. No gradient then. */
function exchangeInPlane(x: Tensor): Tensor {
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

/** Reads a CT-CLIP checkpoint as a teacher, frozen. Errors as `loadCtClip`. */
export async function loadCtClipTeacher(engine: Engine, source: WeightSource, options: CtClipOptions = {}): Promise<CtClipTeacher> {
  const geometry = ctClipTeacherGeometry(source, options);
  return new CtClipTeacher(await loadCtClip(engine, source, options), geometry);
}
