import { ops, type Tensor } from '../../autograd/index.ts';
import { Constant, Module, type Initializer } from '../module.ts';
import { LayerNorm } from './layer-norm.ts';
import { mergeHeads, splitHeads } from './transformer-block.ts';

export interface CtVitLayerConfig {
  width: number;
  heads: number;
  headDim: number;
  /** Inner width of the feed-forward: half of what GEGLU takes. */
  feedForward: number;
}

/** Token volume as the position generator sees it, [B, t, h, w]. */
export type TokenShape = readonly [number, number, number, number];

/** Fixed factor of the cosine similarities; the released code's default. */
const similarityScale = 8;
const pegTaps = [3, 3, 3] as const;

/** LayerNorm with a learned γ; β is stored with the weights and not trained (zero in the released ones). */
export class GammaNorm extends Module {
  readonly gamma: Tensor;
  readonly beta: Constant;

  constructor(init: Initializer, channels: number) {
    super();
    this.gamma = init.constant([channels], 1);
    this.beta = new Constant(init.constant([channels], 0));
    this.beta.tensor.requiresGrad = false;
  }

  forward(x: Tensor): Tensor {
    return ops.layerNorm(x, this.gamma, this.beta.tensor);
  }
}

/**
 * Position encoding generator: a depthwise 3³ convolution over the token volume, causal along its first axis (MODEL §1.1.3).
 *
 * Quirk 1 of the released code: the tokens are taken as (t, h, w) in whatever order they lie. The temporal stack's lie as (h, w), t.
 */
class PositionGenerator extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;

  constructor(init: Initializer, width: number) {
    super();
    this.weight = init.normal([width, 1, ...pegTaps], Math.sqrt(1 / 27));
    this.bias = init.constant([width], 0);
  }

  /** x [any, any, C] → the same shape. */
  forward(x: Tensor, shape: TokenShape): Tensor {
    return x.engine.scope(() => {
      const width = x.shape.at(-1)!;
      const volume = ops.permute(ops.reshape(x, [...shape, width]), [0, 4, 1, 2, 3]);
      const y = ops.conv3d(volume, this.weight, this.bias, { groups: width, padding: [[2, 0], [1, 1], [1, 1]] });
      return ops.reshape(ops.permute(y, [0, 2, 3, 4, 1]), x.shape);
    });
  }
}

/**
 * Cosine-similarity attention (MODEL §1.1.4): logits 8·q̂·k̂ with learned scales of their channels. Quirk 2 of the released code: q is
 * of the normalised x, k and v are of x itself.
 */
class CosineAttention extends Module {
  readonly norm: GammaNorm;
  readonly toQ: Tensor;
  readonly toKv: Tensor;
  readonly toOut: Tensor;
  readonly qScale: Tensor;
  readonly kScale: Tensor;
  readonly #heads: number;

  constructor(init: Initializer, { width, heads, headDim }: CtVitLayerConfig) {
    super();
    const inner = heads * headDim;
    this.norm = new GammaNorm(init, width);
    this.toQ = init.normal([inner, width], Math.sqrt(1 / width));
    this.toKv = init.normal([2 * inner, width], Math.sqrt(1 / width));
    this.toOut = init.normal([width, inner], Math.sqrt(1 / inner));
    this.qScale = init.constant([headDim], 1);
    this.kScale = init.constant([headDim], 1);
    this.#heads = heads;
  }

  /** x [B, T, C]; `bias` [1, H, T, T] is added to the logits. */
  forward(x: Tensor, bias: Tensor | null): Tensor {
    return x.engine.scope(() => {
      const inner = this.toQ.shape[0]!;
      const heads = (rows: Tensor, weight: Tensor): Tensor => splitHeads(ops.linear(rows, weight), this.#heads);
      const q = ops.mul(ops.normalize(heads(this.norm.forward(x), this.toQ)), this.qScale);
      const k = ops.mul(ops.normalize(heads(x, ops.slice(this.toKv, { dim: 0, end: inner }))), this.kScale);
      const v = heads(x, ops.slice(this.toKv, { dim: 0, start: inner }));
      return ops.linear(mergeHeads(ops.scaledDotProductAttention(q, k, v, { bias, scale: similarityScale })), this.toOut);
    });
  }
}

/** LN → Linear → GEGLU → Linear, no biases in the linear maps (MODEL §1.1.6). */
class GatedFeedForward extends Module {
  readonly norm: LayerNorm;
  readonly into: Tensor;
  readonly out: Tensor;

  constructor(init: Initializer, { width, feedForward }: CtVitLayerConfig) {
    super();
    this.norm = new LayerNorm(init, width);
    this.into = init.normal([2 * feedForward, width], Math.sqrt(1 / width));
    this.out = init.normal([width, feedForward], Math.sqrt(1 / feedForward));
  }

  forward(x: Tensor): Tensor {
    return x.engine.scope(() => ops.linear(ops.geglu(ops.linear(this.norm.forward(x), this.into)), this.out));
  }
}

/** A layer of CTViT: x += PEG(x); x += attention(x); x += feed-forward(x). */
export class CtVitLayer extends Module {
  readonly position: PositionGenerator;
  readonly attention: CosineAttention;
  readonly feedForward: GatedFeedForward;

  constructor(init: Initializer, config: CtVitLayerConfig) {
    super();
    this.position = new PositionGenerator(init, config.width);
    this.attention = new CosineAttention(init, config);
    this.feedForward = new GatedFeedForward(init, config);
  }

  /** x [B', T, C], B'·T tokens of the volume `shape`. */
  forward(x: Tensor, shape: TokenShape, bias: Tensor | null): Tensor {
    return x.engine.scope(() => {
      const placed = ops.add(x, this.position.forward(x, shape));
      const attended = ops.add(placed, this.attention.forward(placed, bias));
      return ops.add(attended, this.feedForward.forward(attended));
    });
  }

  /** Its tensors under the names that follow `layers.N.` in the released state dictionary. */
  released(): [name: string, tensor: Tensor][] {
    const { position, attention, feedForward } = this;
    return [
      ['0.dsconv.weight', position.weight], ['0.dsconv.bias', position.bias],
      ['1.q_scale', attention.qScale], ['1.k_scale', attention.kScale],
      ['1.norm.gamma', attention.norm.gamma], ['1.norm.beta', attention.norm.beta.tensor],
      ['1.to_q.weight', attention.toQ], ['1.to_kv.weight', attention.toKv], ['1.to_out.weight', attention.toOut],
      ['3.0.weight', feedForward.norm.weight], ['3.0.bias', feedForward.norm.bias],
      ['3.1.weight', feedForward.into], ['3.4.weight', feedForward.out],
    ];
  }
}
