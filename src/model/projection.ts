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

/** Fan-in and fan-out of a core: the vectors that one of its products takes and gives (MODEL §2). */
type Fans = readonly [fanIn: number, fanOut: number];

/** y = cores(x) + bias: two cores in place of a dense matrix, each divided by max(1, rms/σ) and scaled by a learned γ (`btt_norm`; MODEL §2). */
abstract class TwoCoreProjection extends Module implements ProjectionHead {
  readonly core0: Tensor;
  readonly core1: Tensor;
  readonly gamma0: Tensor;
  readonly gamma1: Tensor;
  readonly bias: Tensor;
  readonly #inFeatures: number;
  readonly #fans: readonly [Fans, Fans];

  /** @param shapes,fans of both cores */
  constructor(init: Initializer, inFeatures: number, latent: number, shapes: readonly [readonly number[], readonly number[]], fans: readonly [Fans, Fans]) {
    super();
    this.#inFeatures = inFeatures;
    this.#fans = fans;
    this.core0 = init.normal([...shapes[0]], coreDeviation(...fans[0]));
    this.core1 = init.normal([...shapes[1]], coreDeviation(...fans[1]));
    this.gamma0 = init.constant([1], 1);
    this.gamma1 = init.constant([1], 1);
    this.bias = init.constant([latent], 0);
  }

  forward(x: Tensor): Tensor {
    const [fans0, fans1] = this.#fans;
    return x.engine.scope(() => ops.add(this.product(x, [this.scaled(this.core0, this.gamma0, coreDeviation(...fans0)), this.scaled(this.core1, this.gamma1, coreDeviation(...fans1))]), this.bias));
  }

  learningRateFactors(): Map<Tensor, number> {
    return new Map([this.core0, this.core1].map((core, index) => [core, this.#inFeatures / this.#fans[index]![0] / 2]));
  }

  protected abstract product(x: Tensor, cores: readonly [Tensor, Tensor]): Tensor;

  /** γ·W / max(1, rms(W)/σ). */
  private scaled(core: Tensor, gamma: Tensor, deviation: number): Tensor {
    const ratio = ops.mul(ops.sqrt(ops.mean(ops.square(core))), 1 / deviation);
    const excess = ops.leakyRelu(ops.sub(ratio, 1), { slope: 0 });
    return ops.mul(core, ops.div(gamma, ops.add(excess, 1)));
  }
}

/** SFP [O]: a Block Tensor Train of cores W0 [m1, m0, n0·r], W1 [n0, m1·r, n1] (Qiu et al. 2024; MODEL §2). */
export class StructuredFactorizedProjection extends TwoCoreProjection {
  readonly #factors: BlockFactors;

  constructor(init: Initializer, inFeatures: number, config: HeadConfig) {
    const factors = blockFactors('StructuredFactorizedProjection', inFeatures, config);
    const { inFactors: [m1, m0], outFactors: [n0, n1] } = factors;
    const { rank } = config;
    super(init, inFeatures, config.latent, [[m1, m0, n0 * rank], [n0, m1 * rank, n1]], [[m0, n0 * rank], [m1 * rank, n1]]);
    this.#factors = factors;
  }

  protected product(x: Tensor, cores: readonly [Tensor, Tensor]): Tensor {
    return ops.blockTensorTrain(x, cores, this.#factors);
  }
}

/**
 * A plain tensor train [O]: cores W0 [m0, n0·R], W1 [m1·R, n1] that all blocks share (MODEL §2), with R the largest at which it has at
 * most the parameters of the Block Tensor Train of `config`.
 */
export class TensorTrainProjection extends TwoCoreProjection {
  readonly #factors: BlockFactors;

  constructor(init: Initializer, inFeatures: number, config: HeadConfig) {
    const factors = blockFactors('TensorTrainProjection', inFeatures, config);
    const { inFactors: [m1, m0], outFactors: [n0, n1] } = factors;
    const rank = tensorTrainRank(inFeatures, config);
    super(init, inFeatures, config.latent, [[m0, n0 * rank], [m1 * rank, n1]], [[m0, n0 * rank], [m1 * rank, n1]]);
    this.#factors = factors;
  }

  protected product(x: Tensor, cores: readonly [Tensor, Tensor]): Tensor {
    return ops.blockTensorTrain(x, cores, this.#factors);
  }
}

/** A matrix of low rank [O]: W0 [in, k], W1 [k, latent], with k the largest at which it has at most the parameters of the Block Tensor Train of `config`. */
export class LowRankProjection extends TwoCoreProjection {
  constructor(init: Initializer, inFeatures: number, config: HeadConfig) {
    const { latent } = config;
    const rank = lowRankOf(inFeatures, config);
    super(init, inFeatures, latent, [[inFeatures, rank], [rank, latent]], [[inFeatures, rank], [rank, latent]]);
  }

  protected product(x: Tensor, [first, second]: readonly [Tensor, Tensor]): Tensor {
    return ops.matmul(ops.matmul(x, first), second);
  }
}

/** The dense twin of an SFP head. */
export class DenseProjection extends Linear implements ProjectionHead {
  learningRateFactors(): Map<Tensor, number> {
    return new Map();
  }
}

interface BlockFactors {
  inFactors: [number, number];
  outFactors: [number, number];
}

function blockFactors(name: string, inFeatures: number, { latent, blockLength, outFactors: [n0, n1] }: HeadConfig): BlockFactors {
  const blocks = inFeatures / blockLength;
  if (!Number.isInteger(blocks)) throw new Error(`${name}: input length ${inFeatures} is not a multiple of the block length ${blockLength}`);
  if (n0 * n1 !== latent) throw new Error(`${name}: output factors ${n0}·${n1} do not give the latent length ${latent}`);
  return { inFactors: [blocks, blockLength], outFactors: [n0, n1] };
}

/** R of a tensor-train head. */
export function tensorTrainRank(inFeatures: number, config: HeadConfig): number {
  const { blockLength, outFactors: [n0, n1] } = config;
  return rankWithin(blockLength * n0 + (inFeatures / blockLength) * n1, inFeatures, config);
}

/** k of a low-rank head. */
export function lowRankOf(inFeatures: number, config: HeadConfig): number {
  return rankWithin(inFeatures + config.latent, inFeatures, config);
}

/** The largest rank, at least 1, at which `perRank` parameters a rank are at most those of the Block Tensor Train: r(d_in·n0 + d_out·m1). */
function rankWithin(perRank: number, inFeatures: number, { latent, blockLength, outFactors: [n0], rank }: HeadConfig): number {
  return Math.max(1, Math.floor((rank * (inFeatures * n0 + (latent * inFeatures) / blockLength)) / perRank));
}

/** σ of both cores of a Block Tensor Train head. */
export function coreDeviations(inFeatures: number, { blockLength, outFactors: [n0, n1], rank }: HeadConfig): [number, number] {
  return [coreDeviation(blockLength, n0 * rank), coreDeviation((inFeatures / blockLength) * rank, n1)];
}

/** σ of a core: √(1/f_in)·min(1, √(f_out/f_in)). */
function coreDeviation(fanIn: number, fanOut: number): number {
  return Math.sqrt(1 / fanIn) * Math.min(1, Math.sqrt(fanOut / fanIn));
}

const kinds = { sfp: StructuredFactorizedProjection, 'low-rank': LowRankProjection, 'tensor-train': TensorTrainProjection } as const;

export function makeProjection(init: Initializer, inFeatures: number, config: HeadConfig): ProjectionHead {
  return config.kind === 'dense' ? new DenseProjection(init, inFeatures, config.latent) : new kinds[config.kind](init, inFeatures, config);
}
