import { checkpoint, isGradEnabled, ops, type Tensor } from '../autograd/index.ts';
import type { Tap } from './fast.ts';
import { CtVitLayer, GammaNorm, type CtVitLayerConfig, type TokenShape } from './layers/ct-vit-layer.ts';
import { LayerNorm } from './layers/layer-norm.ts';
import { Linear } from './layers/linear.ts';
import { PositionBias } from './layers/position-bias.ts';
import { Constant, Module, type Initializer } from './module.ts';

export interface CtVitConfig extends CtVitLayerConfig {
  spatialLayers: number;
  temporalLayers: number;
  /** Inner width and number of linear maps of the position bias. */
  biasWidth: number;
  biasLayers: number;
  /** Rows of the codebook. */
  codes: number;
  /** Frames of a patch, and its rows times its columns. */
  patchFrames: number;
  patchArea: number;
}

export interface CtVitOutput {
  /** [B, t, h, w, C] each. */
  patchTokens: Tensor;
  encodedTokens: Tensor;
  quantisedTokens: Tensor;
  /** Ends of the spatial and of the temporal stack, tokens ordered (t, h, w), before and after `norm_out`: FAST's taps (MODEL §4). */
  taps: [Tap, Tap];
}

/** Two LayerNorms around a Linear: a patch [frames·rows·columns] to a token. */
class PatchEmbedding extends Module {
  readonly normIn: LayerNorm;
  readonly linear: Linear;
  readonly normOut: LayerNorm;

  constructor(init: Initializer, patchVolume: number, width: number) {
    super();
    this.normIn = new LayerNorm(init, patchVolume);
    this.linear = new Linear(init, patchVolume, width);
    this.normOut = new LayerNorm(init, width);
  }

  forward(patches: Tensor): Tensor {
    return this.normOut.forward(this.linear.forward(this.normIn.forward(patches)));
  }
}

/** Layers and the norm after them. */
class Stack extends Module {
  readonly layers: CtVitLayer[];
  readonly normOut: GammaNorm;

  constructor(init: Initializer, config: CtVitLayerConfig, layers: number) {
    super();
    this.layers = Array.from({ length: layers }, () => new CtVitLayer(init, config));
    this.normOut = new GammaNorm(init, config.width);
  }

  forward(x: Tensor, shape: TokenShape, bias: Tensor | null, isCheckpointed: boolean): Tap {
    let residual = x;
    for (const layer of this.layers) {
      const run = (...[stream, bias]: Tensor[]): Tensor => layer.forward(stream!, shape, bias ?? null);
      residual = isCheckpointed ? checkpoint(run, residual, ...(bias ? [bias] : [])) : layer.forward(residual, shape, bias);
    }
    return { residual, features: this.normOut.forward(residual) };
  }
}

/**
 * CT-CLIP's image encoder CTViT up to its quantised tokens, as its released weights need it (MODEL §1.1 [C], with both quirks):
 * patches, a spatial transformer within each slab of h·w tokens, a temporal one within each column of t, vector quantisation.
 */
export class CtVit extends Module {
  readonly patches: PatchEmbedding;
  readonly positionBias: PositionBias;
  readonly spatial: Stack;
  readonly temporal: Stack;
  readonly codebook: Constant;
  readonly config: CtVitConfig;
  /** Runs each layer under gradient checkpointing: about a third more work, and the activations of one layer at a time. */
  checkpointLayers = false;
  /** Bytes of video that are cut into patches at once. */
  videoSlabBytes = 64 * 2 ** 20;

  constructor(init: Initializer, config: CtVitConfig) {
    super();
    const { width, heads, biasWidth, biasLayers, codes, patchFrames, patchArea, spatialLayers, temporalLayers } = config;
    this.config = config;
    this.patches = new PatchEmbedding(init, patchFrames * patchArea, width);
    this.positionBias = new PositionBias(init, biasWidth, heads, biasLayers);
    this.spatial = new Stack(init, config, spatialLayers);
    this.temporal = new Stack(init, config, temporalLayers);
    this.codebook = new Constant(init.normal([codes, width], 1));
    this.codebook.tensor.requiresGrad = false;
  }

  /** video [B, 1, F, H, W] in [−1, 1]; `patch` = [frames, rows, columns], which divide F, H and W. */
  forward(video: Tensor, patch: readonly [number, number, number]): CtVitOutput {
    const { width } = this.config;
    const [batch, t, h, w] = [video.shape[0]!, ...patch.map((size, axis) => video.shape[axis + 2]! / size)] as [number, number, number, number];
    const shape: TokenShape = [batch, t, h, w];
    const flat = [batch, t * h * w, width];
    const asGrid = (x: Tensor): Tensor => ops.reshape(x, [...shape, width]);
    const isCheckpointed = this.checkpointLayers && isGradEnabled();

    const patchTokens = asGrid(this.embed(video, patch));
    const spatial = this.spatial.forward(ops.reshape(patchTokens, [batch * t, h * w, width]), shape, this.positionBias.forward(h, w), isCheckpointed);
    const columns = video.engine.scope(() => ops.reshape(ops.permute(ops.reshape(spatial.features, [batch, t, h * w, width]), [0, 2, 1, 3]), [batch * h * w, t, width]));
    const temporal = this.temporal.forward(columns, shape, null, isCheckpointed); // (B·h·w, t, C)
    const inOrder = (x: Tensor): Tensor => video.engine.scope(() => ops.reshape(ops.permute(ops.reshape(x, [batch, h * w, t, width]), [0, 2, 1, 3]), flat));
    const encoded = inOrder(temporal.features);
    const { quantised } = ops.vectorQuantize(ops.reshape(encoded, [batch * t * h * w, width]), this.codebook.tensor);
    return {
      patchTokens,
      encodedTokens: asGrid(encoded),
      quantisedTokens: asGrid(quantised),
      taps: [
        { residual: ops.reshape(spatial.residual, flat), features: ops.reshape(spatial.features, flat) },
        { residual: inOrder(temporal.residual), features: encoded },
      ],
    };
  }

  override dispose(): void {
    this.positionBias.forget();
    super.dispose();
  }

  /** [B, 1, F, H, W] → tokens [B·t·h·w, C]: a few frames of patches at a time, since a whole volume has 221 MB. */
  private embed(video: Tensor, [pt, p1, p2]: readonly [number, number, number]): Tensor {
    const [batch, , frames, rows, columns] = video.shape as [number, number, number, number, number];
    const frameBytes = 4 * pt * rows * columns;
    const slab = Math.max(1, Math.floor(Math.min(this.videoSlabBytes, video.engine.device.bindingLimit) / frameBytes));
    const [t, h, w] = [frames / pt, rows / p1, columns / p2];
    const tokensOf = (piece: Tensor): Tensor =>
      video.engine.scope(() => {
        // (b, t, pt, h, p1, w, p2) → (b, t, h, w) tokens of (pt, p1, p2)
        const order = ops.permute(ops.reshape(piece, [-1, pt, h, p1, w, p2]), [0, 2, 4, 1, 3, 5]);
        return this.patches.forward(ops.reshape(order, [-1, pt * p1 * p2]));
      });
    if (batch * t <= slab) return tokensOf(video);
    const pieces: Tensor[] = [];
    for (let first = 0; first < batch * t; first += slab) {
      pieces.push(video.engine.scope(() => tokensOf(frameSlab(video, first, Math.min(slab, batch * t - first), pt * rows * columns))));
    }
    return ops.concat(pieces, { dim: 0 });
  }

  /** Its tensors under their released names, without the `visual_transformer.` before them. */
  released(): [name: string, tensor: Tensor][] {
    const { patches, positionBias } = this;
    const ends = positionBias.net.length - 1;
    const stack = (name: string, { layers, normOut }: Stack): [string, Tensor][] => [
      ...layers.flatMap((layer, index) => layer.released().map(([key, tensor]): [string, Tensor] => [`${name}.layers.${index}.${key}`, tensor])),
      [`${name}.norm_out.gamma`, normOut.gamma],
      [`${name}.norm_out.beta`, normOut.beta.tensor],
    ];
    return [
      ...positionBias.net.flatMap(({ weight, bias }, index): [string, Tensor][] => {
        const at = `spatial_rel_pos_bias.net.${index}${index < ends ? '.0' : ''}`;
        return [[`${at}.weight`, weight], [`${at}.bias`, bias]];
      }),
      ['to_patch_emb.1.weight', patches.normIn.weight], ['to_patch_emb.1.bias', patches.normIn.bias],
      ['to_patch_emb.2.weight', patches.linear.weight], ['to_patch_emb.2.bias', patches.linear.bias],
      ['to_patch_emb.3.weight', patches.normOut.weight], ['to_patch_emb.3.bias', patches.normOut.bias],
      ...stack('enc_spatial_transformer', this.spatial),
      ...stack('enc_temporal_transformer', this.temporal),
      ['vq._codebook.embed', this.codebook.tensor],
    ];
  }
}

/** Slabs first … first + count of `elements` values each, as [count, elements]: a plain copy, which no binding limit touches. No gradient. */
function frameSlab(video: Tensor, first: number, count: number, elements: number): Tensor {
  const { engine } = video;
  const piece = engine.empty([count, elements]);
  engine.device.copy({ ...video.view, offset: 4 * first * elements, bytes: piece.bytes }, piece.view);
  return piece;
}
