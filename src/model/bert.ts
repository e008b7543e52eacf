import { ops, type FloatType, type Tensor } from '../autograd/index.ts';
import { checkpointed } from './checkpointed.ts';
import { LayerNorm } from './layers/layer-norm.ts';
import { Linear } from './layers/linear.ts';
import { attentionPlan, mergeHeads, splitHeads } from './layers/transformer-block.ts';
import { NO_MEASURES, type MemoryMeasures } from './memory-measures.ts';
import { Module, type Initializer } from './module.ts';
import type { TextConfig } from './presets.ts';

/** BERT's own layer_norm_eps and type_vocab_size, where a configuration does not say. */
export const bertDefaults = { normEps: 1e-12, tokenTypes: 2 } as const;
const initializerRange = 0.02; // BERT's initializer_range
const masked = -1e9; // added to the logits of padding

/** Tokens of a batch of texts: ids [B, T] row by row, and how many of each row are not padding. */
export interface TextBatch {
  ids: Uint32Array;
  lengths: ArrayLike<number>;
  batch: number;
  tokens: number;
}

/** Post-norm encoder layer of BERT (Devlin et al. 2018). */
class BertLayer extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly attentionOutput: Linear;
  readonly attentionNorm: LayerNorm;
  readonly intermediate: Linear;
  readonly output: Linear;
  readonly outputNorm: LayerNorm;
  readonly #heads: number;

  constructor(init: Initializer, { width, heads, feedForward, normEps = bertDefaults.normEps }: TextConfig, deviation: number) {
    super();
    this.query = new Linear(init, width, width, deviation);
    this.key = new Linear(init, width, width, deviation);
    this.value = new Linear(init, width, width, deviation);
    this.attentionOutput = new Linear(init, width, width, deviation);
    this.attentionNorm = new LayerNorm(init, width, normEps);
    this.intermediate = new Linear(init, width, feedForward, deviation);
    this.output = new Linear(init, feedForward, width, deviation);
    this.outputNorm = new LayerNorm(init, width, normEps);
    this.#heads = heads;
  }

  /** x [B, T, width], mask [B, 1, 1, T] added to the scores → [B, T, width]. */
  forward(x: Tensor, mask: Tensor, { fusedAttention = false }: { fusedAttention?: boolean } = {}): Tensor {
    return x.engine.scope(() => {
      const [q, k, v] = [this.query, this.key, this.value].map((projection) => splitHeads(projection.forward(x), this.#heads)) as [Tensor, Tensor, Tensor];
      const attended = mergeHeads(ops.scaledDotProductAttention(q, k, v, { bias: mask, ...attentionPlan(fusedAttention) }));
      const middle = this.attentionNorm.forward(ops.add(x, this.attentionOutput.forward(attended)));
      return this.outputNorm.forward(ops.add(middle, this.output.forward(ops.gelu(this.intermediate.forward(middle)))));
    });
  }
}

/** BERT encoder of any size; `forward` gives the last hidden state of token 0 ([CLS]), as CT-CLIP uses it (MODEL §1.2). */
export class Bert extends Module {
  readonly wordEmbeddings: Tensor;
  readonly positionEmbeddings: Tensor;
  readonly tokenTypeEmbeddings: Tensor;
  readonly embeddingsNorm: LayerNorm;
  readonly layers: BertLayer[];
  /** How `forward` keeps within memory; there is no stem here. */
  measures: Readonly<MemoryMeasures> = NO_MEASURES;
  /** How activations of the layers are stored; what comes out is f32. */
  precision: FloatType = 'f32';
  readonly #config: TextConfig;

  constructor(init: Initializer, config: TextConfig, vocabularySize: number) {
    super();
    // A narrow tower from scratch learns little from BERT's 0.02: keep the variance of wide ones instead.
    const deviation = Math.max(initializerRange, Math.sqrt(1 / config.width) / 2);
    this.#config = config;
    this.wordEmbeddings = init.normal([vocabularySize, config.width], initializerRange);
    this.positionEmbeddings = init.normal([config.maxPositions, config.width], initializerRange);
    this.tokenTypeEmbeddings = init.normal([config.tokenTypes ?? bertDefaults.tokenTypes, config.width], initializerRange);
    this.embeddingsNorm = new LayerNorm(init, config.width, config.normEps ?? bertDefaults.normEps);
    this.layers = Array.from({ length: config.layers }, () => new BertLayer(init, config, deviation));
  }

  get width(): number {
    return this.#config.width;
  }

  get maxPositions(): number {
    return this.#config.maxPositions;
  }

  /** → [B, width]. Throws when the texts are longer than `maxPositions`. */
  forward(texts: TextBatch): Tensor {
    const { engine } = this.wordEmbeddings;
    const size = Math.ceil(texts.batch / this.measures.textParts);
    const parts: TextBatch[] = [];
    for (let first = 0; first < texts.batch; first += size) parts.push(rowsOf(texts, first, Math.min(size, texts.batch - first)));
    const read = (part: TextBatch): Tensor => engine.scope(() => ops.reshape(ops.slice(this.hiddenStates(part), { dim: 1, start: 0, end: 1 }), [part.batch, this.width]));
    return parts.length === 1 ? read(texts) : engine.scope(() => ops.concat(parts.map(read), { dim: 0 }));
  }

  /** The last hidden state of every token → [B, T, width]. Of padding it is what Hugging Face's has there, and means nothing. */
  hiddenStates({ ids, lengths, batch, tokens }: TextBatch): Tensor {
    const { engine } = this.wordEmbeddings;
    const { maxPositions } = this.#config;
    if (tokens > maxPositions) throw new Error(`Bert: ${tokens} tokens exceed ${maxPositions} positions; truncate the texts`);
    return engine.scope(() => {
      const positions = Uint32Array.from({ length: tokens }, (_, t) => t);
      const place = ops.add(ops.embedding(this.positionEmbeddings, positions, [tokens]), ops.embedding(this.tokenTypeEmbeddings, new Uint32Array(1), [1]));
      let stream = this.embeddingsNorm.forward(ops.add(ops.embedding(this.wordEmbeddings, ids, [batch, tokens]), place));
      const mask = engine.tensor(paddingMask(lengths, batch, tokens), [batch, 1, 1, tokens]);
      const { checkpointBlocks, fusedAttention } = this.measures;
      stream = ops.cast(stream, this.precision);
      for (const layer of this.layers) {
        const forward = (input: Tensor, added: Tensor): Tensor => layer.forward(input, added, { fusedAttention });
        stream = checkpointBlocks ? checkpointed([layer], forward, stream, mask) : forward(stream, mask);
      }
      return ops.cast(stream, 'f32');
    });
  }
}

/** Some texts of a batch, as long as its longest. */
function rowsOf({ ids, lengths, tokens }: TextBatch, first: number, batch: number): TextBatch {
  return { ids: ids.slice(first * tokens, (first + batch) * tokens), lengths: Array.from({ length: batch }, (_, row) => lengths[first + row]!), batch, tokens };
}

/** [B, 1, 1, T], row by row: 0 over tokens, a large negative number over padding, whose weight is then exactly 0. */
function paddingMask(lengths: ArrayLike<number>, batch: number, tokens: number): Float32Array<ArrayBuffer> {
  const mask = new Float32Array(batch * tokens);
  for (let row = 0; row < batch; row++) mask.fill(masked, row * tokens + lengths[row]!, (row + 1) * tokens);
  return mask;
}
