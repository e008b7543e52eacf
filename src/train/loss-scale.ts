import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';

/**
 * Dynamic loss scale (Micikevicius et al. 2018, arXiv 1710.03740, §3.2), for gradients of activations in f16: below 6e-8 they would be
 * lost, above 65504 they are infinite. The loss is multiplied by a power of two before the backward pass, and the gradients of the
 * parameters, which are f32, are divided by it before they are clipped and used, so the scale itself rounds nothing.
 */
export interface LossScale {
  scale: number;
  /** Steps since the scale changed or a step was left out. */
  goodSteps: number;
}

/** Start, growth and patience as torch.cuda.amp.GradScaler's. */
export const FIRST_LOSS_SCALE: LossScale = { scale: 2 ** 16, goodSteps: 0 };
export const GROWTH_INTERVAL = 2000;
/** Where gradients are not finite even unscaled, the run has diverged. */
export const LEAST_LOSS_SCALE = 1;
/** Its inverse is the least normal f32. */
export const MOST_LOSS_SCALE = 2 ** 126;

/**
 * The loss scale of a run, on the GPU, which decides by it whether a step is taken: the host can submit steps ahead, and each has the scale that it
 * would have had, had the host waited for the one before.
 */
export class LossScaler {
  /** See `ops.lossScaleStep`. */
  private readonly state: Tensor;

  constructor(engine: Engine, { scale, goodSteps }: LossScale = FIRST_LOSS_SCALE) {
    this.state = engine.keep(engine.tensor([scale, goodSteps, 0]));
  }

  /** The scale of the step that is recorded next, [1]: a copy, since `step` changes it. */
  current(): Tensor {
    return noGrad(() => ops.slice(this.state, { dim: 0, start: 0, end: 1 }));
  }

  /** Decides on the step whose scaled gradients have this norm [1], and goes on to the scale of the next. */
  step(scaledNorm: Tensor, clip: number): ops.LossScaleStep {
    return ops.lossScaleStep(scaledNorm, this.state, { clip, growthInterval: GROWTH_INTERVAL, least: LEAST_LOSS_SCALE, most: MOST_LOSS_SCALE });
  }

  /** Waits for all steps that were submitted. */
  async read(): Promise<LossScale> {
    const [scale, goodSteps] = await this.state.toArray();
    return { scale: scale!, goodSteps: goodSteps! };
  }

  dispose(): void {
    this.state.dispose();
  }
}

/** Of a checkpoint's metadata. Throws where it is no such state. */
export function parseLossScale(text: string, file: string): LossScale {
  const found = parsed(text);
  const isScale = found !== null && Number.isInteger(Math.log2(found.scale)) && found.scale >= LEAST_LOSS_SCALE && found.scale <= MOST_LOSS_SCALE;
  const isCount = found !== null && Number.isSafeInteger(found.goodSteps) && found.goodSteps >= 0 && found.goodSteps < GROWTH_INTERVAL;
  if (!isScale || !isCount) throw new Error(`${file}: its lossScale must be a power of two from 1 to 2^126 and a count below ${GROWTH_INTERVAL}, got ${text}; the checkpoint is damaged`);
  return { scale: found.scale, goodSteps: found.goodSteps };
}

function parsed(text: string): LossScale | null {
  try {
    return JSON.parse(text) as LossScale | null;
  } catch {
    return null;
  }
}
