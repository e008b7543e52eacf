import { isGradEnabled, noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import { Bert, type TextBatch } from './bert.ts';
import { bertTargets, inferBertConfig, type BertConfig, type BertExtras } from './bert-weights.ts';
import { inferCtVitConfig, resolvePatch } from './ct-vit-config.ts';
import { CtVit, type CtVitConfig, type CtVitOutput } from './ct-vit.ts';
import { SplitLinear } from './layers/split-linear.ts';
import { compareKeys, fillWeights, requireKeys, type KeyReport, type WeightTarget } from './load-weights.ts';
import { BlankInitializer, Module, type Initializer } from './module.ts';
import { prefixed, type WeightSource } from './weight-source.ts';

export interface CtClipOptions {
  /** [frames, rows, columns] of a patch, for models whose patches are neither square nor the only ones that fit the images. */
  patch?: readonly [number, number, number];
  /** Loads the text tower too, for `encodeText`; an object says of it what shapes do not tell. A teacher does without its 440 MB. */
  text?: boolean | BertExtras;
  /** Bytes read so far, and of all that is used. */
  onProgress?: (done: number, total: number) => void;
}

/** The tensors of `CtVitOutput`, and the volume's embedding. */
export interface CtClipEncoding extends Pick<CtVitOutput, 'patchTokens' | 'encodedTokens' | 'quantisedTokens'> {
  /** [B, L], of length 1. */
  latent: Tensor;
}

export interface CtClipKeys extends KeyReport {
  /** Of `unused`: the text tower's. `CtClip.text` gives them to whoever builds it. */
  textTower: string[];
}

/** Bytes of one activation above which the volumes of a batch are encoded one after another. */
const batchBytes = 96 * 2 ** 20;

/**
 * CT-CLIP. Its image side (MODEL §1.1): CTViT, the mean over t of its quantised tokens, and the projection to the shared space. Its text
 * side (MODEL §1.2), where it was asked for: [CLS] of BERT's last hidden state, and a projection.
 *
 * Volumes are [B, 1, F, H, W] in [−1, 1]: HU/1000 clipped; axes towards S, L, P as in the volumes it was trained on.
 */
export class CtClip extends Module {
  readonly vision: CtVit;
  readonly visualLatent: SplitLinear;
  /** ln of the scale of the similarities, [1]; null where the file has none. */
  readonly temperature: Tensor | null;
  /** The text tower; null where it was not asked for. */
  readonly bert: Bert | null;
  /** `to_text_latent`, [L, text width]; null where the file has none. */
  readonly textLatent: Tensor | null;
  /** The text tower's tensors under Hugging Face's names (`embeddings.word_embeddings.weight` …); null where the file has none. */
  readonly text: WeightSource | null;
  readonly keys: CtClipKeys;
  readonly #patch: readonly [number, number, number] | null;

  /** Not for users: `loadCtClip` makes it. */
  constructor(init: Initializer, config: CtVitConfig, parts: Pick<CtClip, 'temperature' | 'bert' | 'textLatent' | 'text' | 'keys'> & { latent: number; tokens: number; patch: readonly [number, number, number] | null }) {
    super();
    this.vision = new CtVit(init, config);
    this.visualLatent = new SplitLinear(init, parts.tokens * config.width, parts.latent);
    this.temperature = parts.temperature;
    this.bert = parts.bert;
    this.textLatent = parts.textLatent;
    this.text = parts.text;
    this.keys = parts.keys;
    this.#patch = parts.patch;
  }

  /** Tokens of a slab, h·w: what the projection was made for. */
  get slabTokens(): number {
    return this.visualLatent.inFeatures / this.vision.config.width;
  }

  /**
   * video [B, 1, F, H, W] → tokens [B, t, h, w, C] and latent [B, L]. Without a tape large volumes are encoded one after another.
   * @throws Error where F, H and W do not fit the patches and the projection
   */
  encode(video: Tensor): CtClipEncoding {
    return this.inPieces(video, (piece) => {
      const { taps: _, ...tokens } = this.vision.forward(piece, this.patchOf(piece));
      return { ...tokens, latent: this.project(tokens.quantisedTokens) };
    });
  }

  /**
   * Texts → [B, L], of length 1 (MODEL §1.2). CT-CLIP pads to 512 tokens and masks the padding; the length of a batch changes nothing.
   * @throws Error where the model was loaded without its text tower, or the texts are longer than its positions
   */
  encodeText(texts: TextBatch): Tensor {
    const { bert, textLatent } = this;
    if (!bert || !textLatent) throw new Error('CtClip.encodeText: the model was loaded without its text tower; pass loadCtClip { text: true }');
    return textLatent.engine.scope(() => ops.normalize(ops.linear(bert.forward(texts), textLatent, null)));
  }

  /**
   * exp(temperature)·x·y of volumes [B, L] and texts [J, L] → [B, J]. Zero-shot, the score of a finding is the softmax over the logits
   * of its two prompts (MODEL §1.6).
   * @throws Error where the file has no temperature
   */
  logits(volumes: Tensor, texts: Tensor): Tensor {
    const { temperature } = this;
    if (!temperature) throw new Error('CtClip.logits: the checkpoint has no tensor "temperature"; give a whole CT-CLIP checkpoint');
    return volumes.engine.scope(() => ops.mul(ops.linear(volumes, texts, null), ops.exp(temperature)));
  }

  /** The taps of FAST (MODEL §4), [B, t·h·w, C] each, what the projection takes, [B, h·w·C], and the token grid [t, h, w]. */
  features(video: Tensor): Pick<CtVitOutput, 'taps'> & { pooled: Tensor; grid: [number, number, number] } {
    const patch = this.patchOf(video);
    const result = this.inPieces(video, (piece) => {
      const { taps, quantisedTokens } = this.vision.forward(piece, patch);
      return { taps, pooled: poolFrames(quantisedTokens) };
    });
    return { ...result, grid: patch.map((size, axis) => video.shape[axis + 2]! / size) as [number, number, number] };
  }

  override dispose(): void {
    this.vision.positionBias.forget();
    super.dispose();
  }

  private project(quantised: Tensor): Tensor {
    return quantised.engine.scope(() => ops.normalize(this.visualLatent.forward(poolFrames(quantised))));
  }

  private patchOf({ shape }: Tensor): [number, number, number] {
    const { patchFrames, patchArea } = this.vision.config;
    if (shape.length !== 5 || shape[1] !== 1) throw new Error(`CtClip.encode: the video must be [B, 1, F, H, W], got [${shape.join(', ')}]`);
    const extents = shape.slice(2) as [number, number, number];
    if (!this.#patch) return resolvePatch(patchFrames, patchArea, this.slabTokens, extents);
    const [pt, p1, p2] = this.#patch;
    const fits = extents.every((extent, axis) => extent % this.#patch![axis]! === 0) && (extents[1] / p1) * (extents[2] / p2) === this.slabTokens;
    if (!fits) throw new Error(`CtClip.encode: a video of ${extents.join(' × ')} cannot be cut into patches of [${pt}, ${p1}, ${p2}] with ${this.slabTokens} a frame`);
    return [pt, p1, p2];
  }

  /** Runs `work` on few volumes at a time where no tape is recorded, and joins the results. */
  private inPieces<R extends object>(video: Tensor, work: (piece: Tensor) => R): R {
    const { engine } = video;
    const isTaped = isGradEnabled() && (video.requiresGrad || [...this.namedParameters().values()].some(({ requiresGrad }) => requiresGrad));
    const batch = video.shape[0]!;
    const { feedForward, patchFrames, patchArea } = this.vision.config;
    const volumeBytes = (4 * (video.size / batch) * Math.max(2 * feedForward, patchFrames * patchArea)) / (patchFrames * patchArea);
    const together = isTaped ? batch : Math.max(1, Math.floor(Math.min(batchBytes, engine.device.bindingLimit) / volumeBytes));
    if (together >= batch) return engine.scope(() => work(video));
    return engine.scope(() => {
      const results: R[] = [];
      for (let first = 0; first < batch; first += together) results.push(engine.scope(() => work(volumesOf(video, first, Math.min(together, batch - first)))));
      return joined(results) as R;
    });
  }
}

/** [B, t, h, w, C] → mean over t, flattened [B, h·w·C]. */
function poolFrames(tokens: Tensor): Tensor {
  return tokens.engine.scope(() => ops.reshape(ops.mean(tokens, { dim: 1 }), [tokens.shape[0]!, -1]));
}

/** Volumes first … first + count as a copy, which no binding limit touches. No gradient. */
function volumesOf(video: Tensor, first: number, count: number): Tensor {
  const { engine } = video;
  const piece = engine.empty([count, ...video.shape.slice(1)]);
  engine.device.copy({ ...video.view, offset: (video.bytes / video.shape[0]!) * first, bytes: piece.bytes }, piece.view);
  return piece;
}

/** Concatenates tensors at the same places of nested arrays and objects along the batch. */
function joined(values: readonly unknown[]): unknown {
  const [first] = values;
  if (first && typeof first === 'object' && 'shape' in first) return noGrad(() => ops.concat(values as Tensor[], { dim: 0 }));
  if (Array.isArray(first)) return first.map((_, index) => joined(values.map((value) => (value as unknown[])[index])));
  return Object.fromEntries(Object.keys(first as object).map((key) => [key, joined(values.map((value) => (value as Record<string, unknown>)[key]))]));
}

/**
 * Reads CT-CLIP's released layout (MODEL §1.3), in whatever file format `source` is of: hyper-parameters from the shapes, an optional
 * `module.` before the names, the text tower where it is asked for. The model comes frozen; `requireGrad(true)` makes it trainable.
 *
 * Holds at most one stretch of one tensor on the CPU at a time.
 * @throws Error naming what is missing and what has another shape, with the whole report as its `keys`; nothing is left on the GPU then
 */
export async function loadCtClip(engine: Engine, source: WeightSource, { patch, text: withText = false, onProgress }: CtClipOptions = {}): Promise<CtClip> {
  const inferred = inferCtClip(source, patch);
  const { file, config, latent, tokens } = inferred;
  const bert = withText ? inferTextTower(inferred, withText === true ? {} : withText) : null;
  const textShape = file.tensors.get('to_text_latent.weight')?.shape;
  const text = prefixed(file, 'text_transformer.');
  const init = new BlankInitializer(engine);
  try {
    const model = new CtClip(init, config, {
      latent, tokens, patch: patch ?? null,
      bert: bert && new Bert(init, bert.text, bert.vocabularySize),
      temperature: file.tensors.has('temperature') ? init.constant([1]) : null,
      textLatent: textShape?.length === 2 && textShape.every((size) => size > 0) ? init.normal(textShape) : null,
      text: text.tensors.size ? text : null,
      keys: { used: [], unused: [], missing: [], wrongShape: [], textTower: [] },
    });
    const targets = [...targetsOf(model), ...(model.bert ? bertTargets(model.bert, file) : [])];
    const report = compareKeys(file, targets);
    requireKeys('loadCtClip', file, report);
    Object.assign(model.keys, report, { textTower: report.unused.filter((name) => name.startsWith('text_transformer.')) });
    await fillWeights(engine, file, targets, onProgress);
    return model.requireGrad(false);
  } catch (error) {
    for (const tensor of init.made) tensor.dispose();
    throw error;
  }
}

/** The sizes of a CT-CLIP checkpoint, and its tensors without a wrapper's prefix. @throws Error naming the tensor that does not fit */
export function inferCtClip(source: WeightSource, patch?: CtClipOptions['patch']): { file: WeightSource; config: CtVitConfig; latent: number; tokens: number } {
  const prefix = modulePrefix(source);
  const file = prefix ? prefixed(source, prefix) : source;
  const config = inferCtVitConfig(prefixed(file, 'visual_transformer.'), patch);
  const head = file.tensors.get('to_visual_latent.weight')?.shape ?? [];
  const [latent, inFeatures] = head as [number, number];
  const tokens = inFeatures / config.width;
  if (head.length !== 2 || !Number.isInteger(tokens) || !(latent > 0 && tokens > 0)) {
    throw new Error(`loadCtClip: ${source.name}: tensor "to_visual_latent.weight" must be [latent, tokens·${config.width}], got ${head.length ? `[${head.join(', ')}]` : 'none'}; give a checkpoint of CT-CLIP`);
  }
  return { file, config, latent, tokens };
}

/** The sizes of the text tower of what `inferCtClip` gave. @throws Error where it, its projection or the temperature is not there */
export function inferTextTower({ file, latent }: Pick<ReturnType<typeof inferCtClip>, 'file' | 'latent'>, extras: BertExtras = {}): BertConfig {
  const fail = (rule: string): Error => new Error(`loadCtClip: ${file.name}: ${rule}; give a whole CT-CLIP checkpoint (ct-lite convert FILE lists what a file holds)`);
  const word = 'text_transformer.embeddings.word_embeddings.weight';
  if (!file.tensors.has(word)) throw fail(`the file holds no text tower (tensor "${word}" is missing)`);
  const config = inferBertConfig(file, extras);
  const head = file.tensors.get('to_text_latent.weight')?.shape;
  if (head?.join() !== [latent, config.text.width].join()) throw fail(`tensor "to_text_latent.weight" must be [${latent}, ${config.text.width}], got ${head ? `[${head.join(', ')}]` : 'none'}`);
  if (!file.tensors.has('temperature')) throw fail('tensor "temperature" is missing');
  return config;
}

/** What every name starts with where the model was saved inside a wrapper for several GPUs. */
function modulePrefix({ tensors }: WeightSource): string {
  const marker = 'visual_transformer.';
  for (const name of tensors.keys()) {
    const at = name.indexOf(marker);
    if (at === 0) return '';
    if (at > 0 && name[at - 1] === '.') return name.slice(0, at);
  }
  return '';
}

function targetsOf(model: CtClip): WeightTarget[] {
  const { visualLatent } = model;
  const one = (name: string, tensor: Tensor | null): WeightTarget[] => (tensor ? [{ name, shape: tensor.shape, parts: [tensor] }] : []);
  return [
    ...model.vision.released().flatMap(([name, tensor]) => one(`visual_transformer.${name}`, tensor)),
    { name: 'to_visual_latent.weight', shape: [visualLatent.outFeatures, visualLatent.inFeatures], parts: visualLatent.parts },
    ...one('to_text_latent.weight', model.textLatent),
    ...one('temperature', model.temperature),
  ];
}
