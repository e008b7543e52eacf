import { ops, Tensor, type FloatType } from '../autograd/index.ts';
import { checkpointed } from './checkpointed.ts';
import { LayerNorm } from './layers/layer-norm.ts';
import { Module, type Initializer } from './module.ts';
import type { StemConv } from './presets.ts';

type Pair = readonly [number, number];

/** Volumes as JPEG gave them: grey levels [B, 1, D, Y, X] in u8, and the value of each level [256]. */
export interface GreyVolumes {
  levels: Tensor;
  values: Tensor;
}

/** Input of an encoder: values in [−1, 1] as f32, or grey levels, which a slabbed stem widens slab by slab. */
export type Volumes = Tensor | GreyVolumes;

/** Values of the type that activations have. */
export function widened(x: Volumes, precision: FloatType): Tensor {
  return x instanceof Tensor ? ops.cast(x, precision) : ops.widen(x.levels, x.values, { dtype: precision });
}

/** One stem convolution with its LayerNorm over channels. */
export class Stem extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly norm: LayerNorm;
  private readonly config: StemConv;

  constructor(init: Initializer, inChannels: number, config: StemConv) {
    super();
    const fanIn = inChannels * config.kernel[0] * config.kernel[1] * config.kernel[2];
    this.weight = init.normal([config.channels, inChannels, ...config.kernel], Math.sqrt(1 / fanIn));
    this.bias = init.constant([config.channels], 0);
    this.norm = new LayerNorm(init, config.channels);
    this.config = config;
  }

  /** x [B, C, D, Y, X] → normalised channels-last [B, D', Y', X', C']. `depthPadding`: zeros before and after in depth, where not the layer's own. */
  forward(x: Tensor, depthPadding?: Pair): Tensor {
    const { stride, padding: [d, h, w] } = this.config;
    const padding = [depthPadding ?? [d, d], [h, h], [w, w]] as const;
    return x.engine.scope(() => this.norm.forward(x.engine.scope(() => ops.permute(ops.conv3d(x, this.weight, this.bias, { stride, padding }), [0, 2, 3, 4, 1]))));
  }

  /** The input planes [first, end) that output planes [first, end) read, of `extent`, and the zeros before and after them. */
  reads([first, end]: Pair, extent: number): { planes: Pair; padding: Pair } {
    const { kernel: [taps], stride: [stride], padding: [padding] } = this.config;
    const [low, high] = [first * stride - padding, (end - 1) * stride - padding + taps];
    return { planes: [Math.max(low, 0), Math.min(high, extent)], padding: [Math.max(-low, 0), Math.max(high - extent, 0)] };
  }

  /** Output planes of `extent` input planes. */
  depthOf(extent: number): number {
    const { kernel: [taps], stride: [stride], padding: [padding] } = this.config;
    return Math.floor((extent + 2 * padding - taps) / stride) + 1;
  }
}

/** Conv → LN → GELU → Conv → LN: x [B, 1, D, Y, X] → [B, t, h, w, C]. */
export function runStems(first: Stem, second: Stem, x: Tensor): Tensor {
  return x.engine.scope(() => second.forward(between(first.forward(x))));
}

/**
 * The same in `slabs` parts along depth, each under gradient checkpointing, so that what lies between the convolutions (221 MB of a
 * volume of preset `base`, several times over) exists for one slab at a time. Planes that two slabs read are computed twice.
 */
export function runStemSlabs(first: Stem, second: Stem, x: Volumes, { slabs, precision }: { slabs: number; precision: FloatType }): Tensor {
  const [whole, ...table] = x instanceof Tensor ? [x] : [x.levels, x.values];
  const depth = whole.shape[2]!;
  const middleDepth = first.depthOf(depth);
  const outDepth = second.depthOf(middleDepth);
  const planes = Math.ceil(outDepth / slabs);
  return whole.engine.scope(() => {
    const parts: Tensor[] = [];
    for (let start = 0; start < outDepth; start += planes) {
      const middle = second.reads([start, Math.min(start + planes, outDepth)], middleDepth);
      const input = first.reads(middle.planes, depth);
      const slab = (volume: Tensor, values?: Tensor): Tensor =>
        volume.engine.scope(() => {
          const cut = ops.slice(volume, { dim: 2, start: input.planes[0], end: input.planes[1] });
          const part = widened(values ? { levels: cut, values } : cut, precision);
          return second.forward(between(first.forward(part, input.padding)), middle.padding);
        });
      parts.push(checkpointed([first, second], slab, whole, ...table));
    }
    return ops.concat(parts, { dim: 1 });
  });
}

/** What the second convolution takes of what the first gave: GELU, and channels first again. */
function between(channelsLast: Tensor): Tensor {
  return channelsLast.engine.scope(() => ops.permute(ops.gelu(channelsLast), [0, 4, 1, 2, 3]));
}
