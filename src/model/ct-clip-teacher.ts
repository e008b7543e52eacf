import { ops, type Engine, type Tensor } from '../autograd/index.ts';
import { loadCtClip, type CtClip, type CtClipOptions } from './ct-clip.ts';
import { ctClipGeometry, exchangeInPlane, type CtClipGeometry } from './ct-clip-input.ts';
import type { EncoderOutput, VisionEncoder } from './encoder.ts';
import type { Tap } from './fast.ts';
import { Module } from './module.ts';
import type { WeightSource } from './weight-source.ts';

/**
 * CT-CLIP as FAST's teacher: CtLite's volumes in, taps in CtLite's token order out. CtLite's axes run towards S, P, L, those of the
 * volumes CT-CLIP was trained on towards S, L, P (MODEL §1.5 [O]): the last two are exchanged on the way in and back on the way out.
 */
export class CtClipTeacher extends Module implements VisionEncoder {
  readonly clip: CtClip;
  readonly grid: readonly [number, number, number];
  readonly width: number;
  readonly input: CtClipGeometry['input'];

  /** Takes over `clip`: `dispose` frees it. */
  constructor(clip: CtClip, { grid, width, input }: CtClipGeometry) {
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

/** Reads a CT-CLIP checkpoint as a teacher, frozen. Errors as `loadCtClip`. */
export async function loadCtClipTeacher(engine: Engine, source: WeightSource, options: CtClipOptions = {}): Promise<CtClipTeacher> {
  const geometry = ctClipGeometry(source, options);
  return new CtClipTeacher(await loadCtClip(engine, source, options), geometry);
}
