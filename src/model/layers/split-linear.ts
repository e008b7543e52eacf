import { ops, type Tensor } from '../../autograd/index.ts';
import { Module, type Initializer } from '../module.ts';

/** Largest part of the weight in bytes: within every adapter's binding limit, and the same everywhere, so that files fit. */
const partBytes = 64 * 2 ** 20;

/**
 * y = x·weightᵀ without a bias, for weights that no binding takes whole (CT-CLIP's `to_visual_latent` has 604 MB): rows of the weight
 * are kept in parts, each a parameter of its own, and each gives some of the outputs.
 */
export class SplitLinear extends Module {
  readonly parts: Tensor[];
  readonly inFeatures: number;
  readonly outFeatures: number;

  constructor(init: Initializer, inFeatures: number, outFeatures: number, mostBytes = partBytes) {
    super();
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    const rows = Math.max(1, Math.min(outFeatures, Math.floor(mostBytes / (4 * inFeatures))));
    this.parts = Array.from({ length: Math.ceil(outFeatures / rows) }, (_, index) => init.normal([Math.min(rows, outFeatures - index * rows), inFeatures], Math.sqrt(1 / inFeatures)));
  }

  /** x [B, in] → [B, out]. */
  forward(x: Tensor): Tensor {
    if (this.parts.length === 1) return ops.linear(x, this.parts[0]!);
    return x.engine.scope(() => ops.concat(this.parts.map((part) => ops.linear(x, part)), { dim: 1 }));
  }
}
