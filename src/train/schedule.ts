/** The learning rate over a stage: linear warm-up over the first 5 %, then a cosine down to 1 % of the peak (MODEL §5, [O]). */

export const WARM_UP_SHARE = 0.05;
export const FINAL_SHARE = 0.01;

export interface Schedule {
  /** Highest learning rate, reached at the end of the warm-up. */
  peak: number;
  /** Optimiser steps of the stage. */
  steps: number;
  warmUpShare?: number;
  finalShare?: number;
}

/**
 * The learning rate of a step, from 0 to steps − 1. Step 0 already learns (the warm-up starts at peak / warmUpSteps); the last step
 * has peak · finalShare exactly. Steps past the end keep it.
 *
 * @throws Error where steps is not a positive whole number, or step is not a whole number ≥ 0
 */
export function learningRate(step: number, { peak, steps, warmUpShare = WARM_UP_SHARE, finalShare = FINAL_SHARE }: Schedule): number {
  if (!Number.isSafeInteger(steps) || steps < 1) throw new Error(`learningRate: steps must be a whole number of at least 1, got ${steps}`);
  if (!Number.isSafeInteger(step) || step < 0) throw new Error(`learningRate: step must be a whole number of at least 0, got ${step}`);
  const warmUpSteps = Math.max(1, Math.round(steps * warmUpShare));
  if (step < warmUpSteps) return (peak * (step + 1)) / warmUpSteps;
  // 0 at the last step of the warm-up, 1 at the last step of all.
  const progress = Math.min(1, (step + 1 - warmUpSteps) / (steps - warmUpSteps));
  return peak * (finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
