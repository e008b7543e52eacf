import { ops, type Tensor } from '../autograd/index.ts';
import { Linear } from './layers/linear.ts';
import { Module, type Initializer } from './module.ts';
import type { HeadConfig } from './presets.ts';

/** A projection head: features [B, C] → embedding [B, latent], before the L2 normalisation that the loss does. */
export interface ProjectionHead extends Module {
  forward(x: Tensor): Tensor;
  /** [latent] */
  readonly bias: Tensor;
  /** Learning-rate factor by parameter name; 1 where not named (MODEL §2). */
  learningRateFactors(): Map<Tensor, number>;
}

/**
 * SFP [O]: y = BTT(x) + bias, a Block Tensor Train of two cores in place of a dense matrix (Qiu et al. 2024; MODEL §2).
 *
 * Core W0 [m1, m0, n0·r], W1 [n0, m1·r, n1]. Each core is divided by max(1, rms/σ) and scaled by a learned γ (`btt_norm`).
 */
export class StructuredFactorizedProjection extends Module implements ProjectionHead {
  readonly core0: Tensor;
  readonly core1: Tensor;
  readonly gamma0: Tensor;
  readonly gamma1: Tensor;
  readonly bias: Tensor;
  readonly #inFactors: [number, number];
  readonly #outFactors: [number, number];
  readonly #deviations: [number, number];
  readonly #fanIns: [number, number];

  constructor(init: Initializer, inFeatures: number, config: HeadConfig) {
    super();
    const { latent, blockLength, outFactors, rank } = config;
    const m0 = blockLength;
    const m1 = inFeatures / m0;
    const [n0, n1] = outFactors;
    if (!Number.isInteger(m1)) throw new Error(`StructuredFactorizedProjection: input length ${inFeatures} is not a multiple of the block length ${m0}`);
    if (n0 * n1 !== latent) throw new Error(`StructuredFactorizedProjection: output factors ${n0}·${n1} do not give the latent length ${latent}`);
    this.#inFactors = [m1, m0];
    this.#outFactors = [n0, n1];
    this.#fanIns = [m0, m1 * rank];
    this.#deviations = coreDeviations(inFeatures, config);
    this.core0 = init.normal([m1, m0, n0 * rank], this.#deviations[0]);
    this.core1 = init.normal([n0, m1 * rank, n1], this.#deviations[1]);
    this.gamma0 = init.constant([1], 1);
    this.gamma1 = init.constant([1], 1);
    this.bias = init.constant([latent], 0);
  }

  forward(x: Tensor): Tensor {
    return x.engine.scope(() => {
      const cores = [this.scaled(this.core0, this.gamma0, this.#deviations[0]), this.scaled(this.core1, this.gamma1, this.#deviations[1])];
      return ops.add(ops.blockTensorTrain(x, cores, { inFactors: this.#inFactors, outFactors: this.#outFactors }), this.bias);
    });
  }

  learningRateFactors(): Map<Tensor, number> {
    const inFeatures = this.#inFactors[0] * this.#inFactors[1];
    return new Map([this.core0, this.core1].map((core, index) => [core, inFeatures / this.#fanIns[index]! / 2]));
  }

  /** γ·W / max(1, rms(W)/σ). */
  private scaled(core: Tensor, gamma: Tensor, deviation: number): Tensor {
    const ratio = ops.mul(ops.sqrt(ops.mean(ops.square(core))), 1 / deviation);
    const excess = ops.leakyRelu(ops.sub(ratio, 1), { slope: 0 });
    return ops.mul(core, ops.div(gamma, ops.add(excess, 1)));
  }
}

/** The dense twin of an SFP head. */
export class DenseProjection extends Linear implements ProjectionHead {
  learningRateFactors(): Map<Tensor, number> {
    return new Map();
  }
}

/** σ of both cores of a head. */
export function coreDeviations(inFeatures: number, { blockLength, outFactors: [n0, n1], rank }: HeadConfig): [number, number] {
  return [coreDeviation(blockLength, n0 * rank), coreDeviation((inFeatures / blockLength) * rank, n1)];
}

/** σ of a core: √(1/f_in)·min(1, √(f_out/f_in)). */
function coreDeviation(fanIn: number, fanOut: number): number {
  return Math.sqrt(1 / fanIn) * Math.min(1, Math.sqrt(fanOut / fanIn));
}

export function makeProjection(init: Initializer, inFeatures: number, config: HeadConfig): ProjectionHead {
  return config.kind === 'sfp' ? new StructuredFactorizedProjection(init, inFeatures, config) : new DenseProjection(init, inFeatures, config.latent);
}
