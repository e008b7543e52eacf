import type { Engine, Tensor } from '../autograd/index.ts';
import type { TextBatch } from './bert.ts';
import { ctClipGeometry, exchangeInPlane, type CtClipGeometry } from './ct-clip-input.ts';
import { loadCtClip, type CtClip, type CtClipOptions } from './ct-clip.ts';
import { Module } from './module.ts';
import type { WeightSource } from './weight-source.ts';
import type { ZeroShotModel } from './zero-shot.ts';

/**
 * CT-CLIP as the baseline on uncompressed input: CtLite's volumes and evaluation, CT-CLIP's towers. Volumes come on the grid `input` of
 * `ctClipGeometry`, axes towards S, P, L; the last two are exchanged for it (MODEL §1.5 [O]).
 */
export class CtClipBaseline extends Module implements ZeroShotModel {
  readonly clip: CtClip;
  readonly input: CtClipGeometry['input'];

  /** Takes over `clip`, which must have its text tower: `dispose` frees it. */
  constructor(clip: CtClip, { input }: Pick<CtClipGeometry, 'input'>) {
    super();
    if (!clip.bert || !clip.temperature) throw new Error('CtClipBaseline: the model must have its text tower and temperature; pass loadCtClip { text: true }');
    this.clip = clip;
    this.input = input;
  }

  get logScale(): Tensor {
    return this.clip.temperature!;
  }

  /** Tokens that a text is cut at. */
  get maxTokens(): number {
    return this.clip.bert!.maxPositions;
  }

  /** x [B, 1, D, Y, X] in [−1, 1] → embedding [B, latent] of length 1. */
  encodeImage(x: Tensor): { embedding: Tensor } {
    return x.engine.scope(() => ({ embedding: this.clip.encode(exchangeInPlane(x)).latent }));
  }

  async readTexts(texts: TextBatch): Promise<TextBatch> {
    return texts;
  }

  /** Texts → [B, latent] of length 1. */
  encodeText(texts: TextBatch | Tensor): Tensor {
    if ('ids' in texts) return this.clip.encodeText(texts);
    throw new Error('CtClipBaseline.encodeText: takes texts, got features; give it what readTexts gave');
  }

  override dispose(): void {
    this.clip.dispose();
  }
}

/** Reads a CT-CLIP checkpoint with its text tower, frozen. Errors as `loadCtClip`. */
export async function loadCtClipBaseline(engine: Engine, source: WeightSource, options: CtClipOptions = {}): Promise<CtClipBaseline> {
  const geometry = ctClipGeometry(source, options);
  return new CtClipBaseline(await loadCtClip(engine, source, { ...options, text: options.text || true }), geometry);
}
