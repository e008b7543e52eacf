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

/** The scale after a step: halved where the gradients were not finite (the step is then left out), doubled after 2000 that were. */
export function nextLossScale({ scale, goodSteps }: LossScale, finite: boolean): LossScale {
  if (!finite) return { scale: Math.max(scale / 2, LEAST_LOSS_SCALE), goodSteps: 0 };
  return goodSteps + 1 < GROWTH_INTERVAL ? { scale, goodSteps: goodSteps + 1 } : { scale: 2 * scale, goodSteps: 0 };
}

/** Of a checkpoint's metadata. Throws where it is no such state. */
export function parseLossScale(text: string, file: string): LossScale {
  const found = parsed(text);
  const isScale = found !== null && Number.isInteger(Math.log2(found.scale)) && found.scale >= LEAST_LOSS_SCALE;
  const isCount = found !== null && Number.isSafeInteger(found.goodSteps) && found.goodSteps >= 0 && found.goodSteps < GROWTH_INTERVAL;
  if (!isScale || !isCount) throw new Error(`${file}: its lossScale must be a power of two of at least 1 and a count below ${GROWTH_INTERVAL}, got ${text}; the checkpoint is damaged`);
  return { scale: found.scale, goodSteps: found.goodSteps };
}

function parsed(text: string): LossScale | null {
  try {
    return JSON.parse(text) as LossScale | null;
  } catch {
    return null;
  }
}
