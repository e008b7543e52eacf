import { ops, Tensor, type FloatType } from '../autograd/index.ts';
import { checkpointed } from './checkpointed.ts';
import type { Tap } from './fast.ts';
import { LayerNorm } from './layers/layer-norm.ts';
import { Linear } from './layers/linear.ts';
import { TransformerBlock } from './layers/transformer-block.ts';
import { NO_MEASURES, type MemoryMeasures } from './memory-measures.ts';
import { Module, type Initializer } from './module.ts';
import { tokenGrid, type EncoderConfig } from './presets.ts';
import { runStems, runStemSlabs, Stem, widened, type Volumes } from './stem.ts';

export interface EncoderOutput {
  /** End of the spatial and of the temporal stack, tokens ordered (t, h, w): FAST's taps (MODEL §4). */
  taps: [Tap, Tap];
  /** [B, C], before the projection head. */
  pooled: Tensor;
}

export interface AttentionPooled extends EncoderOutput {
  /** Attention of the pooling [B, heads, N], a heat map over the token grid. */
  attention: Tensor;
}

/** What FAST and the trainer need of an image encoder: of the student, and of CT-CLIP as a teacher (ct-clip-teacher.ts). */
export interface VisionEncoder extends Module {
  /** Token grid [t, h, w]. */
  readonly grid: readonly [number, number, number];
  readonly width: number;
  /** x [B, 1, D, Y, X] in [−1, 1]. */
  forward(x: Tensor): EncoderOutput;
}

/** Position tables for each axis of the token grid; their sum is added to the tokens. */
class SeparablePositions extends Module {
  readonly t: Tensor;
  readonly h: Tensor;
  readonly w: Tensor;

  constructor(init: Initializer, [t, h, w]: readonly [number, number, number], width: number) {
    super();
    this.t = init.normal([t, 1, 1, width], 0.02);
    this.h = init.normal([1, h, 1, width], 0.02);
    this.w = init.normal([1, 1, w, width], 0.02);
  }

  /** tokens [B, t, h, w, C]. */
  forward(tokens: Tensor): Tensor {
    return ops.add(tokens, ops.cast(ops.add(ops.add(this.t, this.h), this.w), tokens.dtype as FloatType));
  }
}

/** Attention pooling: each head scores all tokens by a learned linear map and averages its own slice of channels. */
class AttentionPool extends Module {
  readonly score: Linear;
  readonly out: Linear;
  private readonly heads: number;

  constructor(init: Initializer, width: number, heads: number) {
    super();
    this.score = new Linear(init, width, heads);
    this.out = new Linear(init, width, width);
    this.heads = heads;
  }

  /** x [B, N, C] → pooled [B, C], attention [B, H, N]. */
  forward(x: Tensor): { pooled: Tensor; attention: Tensor } {
    const [batch, tokens, channels] = x.shape as [number, number, number];
    const { heads } = this;
    const attention = ops.softmax(ops.permute(this.score.forward(x), [0, 2, 1]), { dim: -1 });
    const values = ops.permute(ops.reshape(x, [batch, tokens, heads, channels / heads]), [0, 2, 1, 3]); // (B, H, N, C/H)
    const mixed = ops.matmul(ops.reshape(attention, [batch, heads, 1, tokens]), values);
    return { pooled: this.out.forward(ops.reshape(mixed, [batch, channels])), attention };
  }
}

/**
 * The student: a convolutional stem and a factorised vision transformer (MODEL §5 [O]). Spatial blocks attend within a slab of
 * h·w tokens, temporal blocks within a column of t tokens, as the teacher CTViT does, so that the taps meet one to one.
 */
export class ConvStemViT extends Module implements VisionEncoder {
  readonly stem1: Stem;
  readonly stem2: Stem;
  readonly positions: SeparablePositions;
  readonly spatial: TransformerBlock[];
  readonly spatialNorm: LayerNorm;
  readonly temporal: TransformerBlock[];
  readonly temporalNorm: LayerNorm;
  readonly pool: AttentionPool;
  /** How `forward` keeps within memory. */
  measures: Readonly<MemoryMeasures> = NO_MEASURES;
  /** How activations are stored up to the pooling, which is f32: in f16 they take half the memory, and the taps are f16 too. */
  precision: FloatType = 'f32';
  readonly #config: EncoderConfig;
  readonly #grid: [number, number, number];

  constructor(init: Initializer, config: EncoderConfig) {
    super();
    const { width, heads, mlpRatio, spatialLayers, temporalLayers } = config;
    const [first, second] = config.stem;
    const block = (): TransformerBlock => new TransformerBlock(init, width, heads, mlpRatio);
    this.#config = config;
    this.#grid = tokenGrid(config);
    this.stem1 = new Stem(init, 1, first);
    this.stem2 = new Stem(init, first.channels, second);
    this.positions = new SeparablePositions(init, this.#grid, width);
    this.spatial = Array.from({ length: spatialLayers }, block);
    this.spatialNorm = new LayerNorm(init, width);
    this.temporal = Array.from({ length: temporalLayers }, block);
    this.temporalNorm = new LayerNorm(init, width);
    this.pool = new AttentionPool(init, width, heads);
  }

  get grid(): readonly [number, number, number] {
    return this.#grid;
  }

  get width(): number {
    return this.#config.width;
  }

  /** x [B, 1, D, Y, X]. */
  forward(x: Volumes): AttentionPooled {
    const { width } = this;
    const [t, h, w] = this.#grid;
    const { engine, shape: [batch] } = x instanceof Tensor ? x : x.levels;
    const tokens = h * w;
    const flat = [batch, t * tokens, width];

    const spatialIn = engine.scope(() => ops.reshape(this.embed(x), [batch * t, tokens, width]));
    const spatialResidual = this.run(this.spatial, spatialIn); // (B·t, h·w, C)
    const spatialFeatures = this.spatialNorm.forward(spatialResidual);

    const columns = engine.scope(() => ops.reshape(ops.permute(ops.reshape(spatialFeatures, [batch, t, tokens, width]), [0, 2, 1, 3]), [batch * tokens, t, width]));
    const temporalOut = this.run(this.temporal, columns); // (B·h·w, t, C)
    const temporalResidual = engine.scope(() => ops.reshape(ops.permute(ops.reshape(temporalOut, [batch, tokens, t, width]), [0, 2, 1, 3]), flat));
    const temporalFeatures = this.temporalNorm.forward(temporalResidual);

    return {
      taps: [
        { residual: ops.reshape(spatialResidual, flat), features: ops.reshape(spatialFeatures, flat) },
        { residual: temporalResidual, features: temporalFeatures },
      ],
      ...this.pool.forward(ops.cast(temporalFeatures, 'f32')),
    };
  }

  /** [B, 1, D, Y, X] → tokens with positions [B, t, h, w, C]. */
  private embed(x: Volumes): Tensor {
    const { stem1, stem2, precision, measures: { stemSlabs } } = this;
    return this.positions.forward(stemSlabs > 1 ? runStemSlabs(stem1, stem2, x, { slabs: stemSlabs, precision }) : runStems(stem1, stem2, widened(x, precision)));
  }

  private run(blocks: readonly TransformerBlock[], x: Tensor): Tensor {
    const { checkpointBlocks, fusedAttention } = this.measures;
    let stream = x;
    for (const block of blocks) {
      const forward = (input: Tensor): Tensor => block.forward(input, { fusedAttention });
      const next = checkpointBlocks ? checkpointed([block], forward, stream) : forward(stream);
      if (stream !== x) stream.dispose(); // the tape has its own hold on what it needs
      stream = next;
    }
    return stream;
  }
}
