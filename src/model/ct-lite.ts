import { noGrad, ops, Tensor, type Engine, type FloatType } from '../autograd/index.ts';
import { Bert, type TextBatch } from './bert.ts';
import { ConvStemViT, type EncoderOutput } from './encoder.ts';
import { Linear } from './layers/linear.ts';
import type { MemoryMeasures } from './memory-measures.ts';
import { BlankInitializer, Initializer, Module } from './module.ts';
import type { HeadConfig, Preset, TextConfig } from './presets.ts';
import type { Volumes } from './stem.ts';
import { makeProjection, type ProjectionHead } from './projection.ts';
import type { ZeroShotModel } from './zero-shot.ts';

const initialLogScale = Math.log(10); // t' and b of SigLIP, MODEL §3

/** A text tower that is not trained, behind whatever keeps what it gave. */
export interface FrozenText {
  readonly width: number;
  /** Texts → features [B, width] without history, in the scope of the caller. */
  forward(texts: TextBatch): Promise<Tensor>;
}

export interface CtLiteOptions {
  vocabularySize: number;
  /** null leaves all parameters undefined, for a model that is read from a checkpoint. */
  seed: number | null;
  head?: HeadConfig['kind'];
  /** Rank of Block Tensor Train heads; default the preset's. */
  headRank?: number;
  /** Sizes of the text tower; default the preset's. */
  textConfig?: TextConfig;
  /** A tower that only reads: it is not among the model's parameters, may serve several models, and is the caller's to dispose. */
  frozenText?: FrozenText | null;
  /** SigLIP's b: −10 for large batches, −ln(B−1) offered for small ones (MODEL §3). */
  logitBias?: number;
}

/** Image and text towers with their projection heads, and SigLIP's scale and bias. */
export class CtLite extends Module implements ZeroShotModel {
  readonly vision: ConvStemViT;
  /** null where a frozen tower reads the texts. */
  readonly text: Bert | null;
  readonly imageHead: ProjectionHead;
  readonly textHead: ProjectionHead;
  /** t' and b of SigLIP, [1] each. */
  readonly logScale: Tensor;
  readonly logitBias: Tensor;
  readonly #frozenText: FrozenText | null;

  constructor(engine: Engine, preset: Preset, { vocabularySize, seed, head, headRank, textConfig = preset.text, frozenText = null, logitBias = -10 }: CtLiteOptions) {
    super();
    const init = seed === null ? new BlankInitializer(engine) : new Initializer(engine, seed);
    const headConfig = { ...preset.head, kind: head ?? preset.head.kind, rank: headRank ?? preset.head.rank };
    this.vision = new ConvStemViT(init, preset.encoder);
    this.text = frozenText ? null : new Bert(init, textConfig, vocabularySize);
    this.#frozenText = frozenText;
    this.imageHead = makeProjection(init, preset.encoder.width, headConfig);
    this.textHead = makeProjection(init, (this.text ?? frozenText!).width, headConfig);
    this.logScale = init.constant([1], initialLogScale);
    this.logitBias = init.constant([1], logitBias);
  }

  /** How both towers keep within memory from now on. A frozen text tower is the caller's. */
  setMeasures(measures: Readonly<MemoryMeasures>): void {
    this.vision.measures = measures;
    if (this.text) this.text.measures = measures;
  }

  /** How both towers store activations. A frozen tower, whose features are kept across runs, stays f32; heads and losses are f32. */
  set precision(precision: FloatType) {
    this.vision.precision = precision;
    if (this.text) this.text.precision = precision;
  }

  /** x [B, 1, D, Y, X] → encoder output and embedding [B, latent], not yet normalised. */
  encodeImage(x: Volumes): EncoderOutput & { embedding: Tensor } {
    const output = this.vision.forward(x);
    return { ...output, embedding: this.imageHead.forward(output.pooled) };
  }

  /** What `encodeText` takes: the texts themselves, or, of a frozen tower, its features [B, width]. */
  async readTexts(texts: TextBatch): Promise<TextBatch | Tensor> {
    return this.#frozenText ? this.#frozenText.forward(texts) : texts;
  }

  /** Texts → embeddings [B, latent], not yet normalised. A model with a frozen tower takes what `readTexts` gave. */
  encodeText(texts: TextBatch | Tensor): Tensor {
    if (texts instanceof Tensor) return this.textHead.forward(texts);
    if (!this.text) throw new Error('CtLite.encodeText: a model with a frozen text tower takes features, got texts; give it what readTexts gave');
    return this.textHead.forward(this.text.forward(texts));
  }

  /**
   * Subtracts `share` of the mean of a batch's embeddings from the biases of the heads [O]: after every step of contrastive training, as
   * DINO centres its targets (Caron et al. 2021).
   *
   * Young towers map all inputs to nearly one direction (cosine above 0.99). A contrastive loss then moves what all inputs
   * share, and collapses or idles for hundreds of steps before it finds what differs. `images` [B, latent], `texts` [J, latent],
   * not normalised.
   */
  centerHeads(images: Tensor, texts: Tensor, share = 1): void {
    const { engine } = images;
    noGrad(() =>
      engine.scope(() => {
        for (const [head, embeddings] of [[this.imageHead, images], [this.textHead, texts]] as const) {
          engine.device.copy(ops.sub(head.bias, ops.mul(ops.mean(embeddings, { dim: 0 }), share)).view, head.bias.view);
        }
      }),
    );
  }
}

/**
 * FAST's projectors φ: one Linear C_student → C_teacher a tap, used in training only (MODEL §4). With `identity` [O] they start
 * as the identity, for a student that starts from the teacher's weights: random ones would first turn it away from them.
 */
export class FastProjectors extends Module {
  readonly taps: Linear[];

  constructor(engine: Engine, studentWidth: number, teacherWidth: number, seed: number, identity = false) {
    super();
    const init = new Initializer(engine, seed);
    this.taps = [0, 1].map(() => new Linear(init, studentWidth, teacherWidth));
    if (!identity || studentWidth !== teacherWidth) return;
    const eye = Float32Array.from({ length: studentWidth ** 2 }, (_, at) => (at % (studentWidth + 1) === 0 ? 1 : 0));
    for (const { weight } of this.taps) weight.write(eye);
  }
}
