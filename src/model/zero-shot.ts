import type { Tensor } from '../autograd/index.ts';
import type { TextBatch } from './bert.ts';

/** What zero-shot evaluation asks of a model: CtLite, or CT-CLIP as its baseline. */
export interface ZeroShotModel {
  /** ln of the factor on cosine similarities, [1]. */
  readonly logScale: Tensor;
  /** x [B, 1, D, Y, X] in [−1, 1], axes towards S, P, L → embedding [B, latent], normalised or not. */
  encodeImage(x: Tensor): { embedding: Tensor };
  /** Texts as `encodeText` takes them. */
  readTexts(texts: TextBatch): Promise<TextBatch | Tensor>;
  /** What `readTexts` gave → embeddings [B, latent], normalised or not. */
  encodeText(texts: TextBatch | Tensor): Tensor;
}
