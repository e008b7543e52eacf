import { isGradEnabled, ops, type Tensor } from '../../autograd/index.ts';
import { Module, type Initializer } from '../module.ts';
import { Linear } from './linear.ts';

const slope = 0.1; // of its leaky ReLU below zero, as released

/**
 * Continuous position bias of attention over a grid (MODEL §1.1.5): an MLP of sign(Δ)·ln(1+|Δ|) for Δ = pos_i − pos_j, one number a
 * head. Only (2h−1)(2w−1) offsets differ, so the MLP runs on those and their rows are looked up. Where nothing is trained the result
 * is kept.
 */
export class PositionBias extends Module {
  readonly net: Linear[];
  #cached: { key: string; bias: Tensor } | null = null;

  /** `layers` linear maps: 2 → width → … → heads. */
  constructor(init: Initializer, width: number, heads: number, layers: number) {
    super();
    this.net = Array.from({ length: layers }, (_, index) => new Linear(init, index ? width : 2, index < layers - 1 ? width : heads));
  }

  /** → [1, heads, h·w, h·w]. The tensor may be this module's own: it is not to be disposed. */
  forward(h: number, w: number): Tensor {
    const isTrained = isGradEnabled() && this.net.some(({ weight, bias }) => weight.requiresGrad || bias.requiresGrad);
    const key = `${h}×${w}`;
    if (isTrained) {
      this.forget(); // the weights are about to change
      return this.compute(h, w);
    }
    if (this.#cached?.key !== key) {
      this.forget();
      const bias = this.compute(h, w);
      this.#cached = { key, bias: bias.engine.keep(bias) };
    }
    return this.#cached!.bias;
  }

  /** Drops what is kept: after the weights were written. */
  forget(): void {
    this.#cached?.bias.dispose();
    this.#cached = null;
  }

  override dispose(): void {
    this.forget();
    super.dispose();
  }

  private compute(h: number, w: number): Tensor {
    const { engine } = this.net[0]!.weight;
    const tokens = h * w;
    return engine.scope(() => {
      let rows = engine.tensor(offsets(h, w), [(2 * h - 1) * (2 * w - 1), 2]);
      this.net.forEach(({ weight, bias }, index) => (rows = ops.linear(rows, weight, bias, index < this.net.length - 1 ? { activation: 'leakyRelu', slope } : {})));
      const heads = rows.shape[1]!;
      const pairs = ops.embedding(rows, pairOffsets(h, w)); // (N·N, heads)
      return ops.reshape(ops.permute(pairs, [1, 0]), [1, heads, tokens, tokens]);
    });
  }
}

/** sign(Δ)·ln(1+|Δ|) for (Δh, Δw) from (1−h, 1−w) to (h−1, w−1), row-major. */
function offsets(h: number, w: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array((2 * h - 1) * (2 * w - 1) * 2);
  const log = (delta: number): number => Math.sign(delta) * Math.log1p(Math.abs(delta));
  let at = 0;
  for (let dh = 1 - h; dh < h; dh++) {
    for (let dw = 1 - w; dw < w; dw++) {
      values[at++] = log(dh);
      values[at++] = log(dw);
    }
  }
  return values;
}

/** Row of `offsets` for each pair (i, j) of tokens. */
function pairOffsets(h: number, w: number): Uint32Array {
  const tokens = h * w;
  const ids = new Uint32Array(tokens * tokens);
  for (let i = 0; i < tokens; i++) {
    for (let j = 0; j < tokens; j++) {
      const dh = Math.floor(i / w) - Math.floor(j / w) + h - 1;
      ids[i * tokens + j] = dh * (2 * w - 1) + (i % w) - (j % w) + w - 1;
    }
  }
  return ids;
}
