import source from '../../../kernels/loss-scale.wgsl';
import { check, defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { CLIP_EPSILON, clipScaleReference } from './gradient-norm.ts';

export interface LossScaleOptions {
  /** Largest norm of the gradients; longer ones are scaled down to it. 0: no clipping. */
  clip: number;
  /** Steps taken in a row after which the scale is doubled. */
  growthInterval: number;
  /** The scale stays between the two, powers of two. */
  least: number;
  most: number;
}

export interface LossScaleStep {
  /** Of the gradients of the loss itself, [1]; not finite where the step is left out. */
  norm: Tensor;
  /** [3]: what to multiply the gradients with, 1 where the step is taken, 1 where the one before was left out. What `adamWStep` takes as `scale`. */
  update: Tensor;
}

const kernel = defineKernel({
  label: 'loss-scale',
  source,
  inputs: ['scaled_norm'],
  outputs: ['norm', 'update', 'state'],
  params: { limit: 'f32', epsilon: 'f32', interval: 'f32', least: 'f32', most: 'f32' },
  workgroups: () => 1,
});

/**
 * Decides on the GPU whether a step of a scaled loss is taken: where `scaledNorm` [1], the norm of the scaled gradients, is finite. `state` [3]
 * goes on in place: the scale, a power of two; the steps taken since it changed or one was left out; and 1 where the last step was left out. A step
 * left out halves the scale, `growthInterval` taken in a row double it. No gradient.
 *
 * @throws EngineError where a shape or an option does not fit
 */
export const lossScaleStep = defineOp('lossScaleStep', (scaledNorm: Tensor, state: Tensor, { clip, growthInterval, least, most }: LossScaleOptions): LossScaleStep => {
  checkTensor(scaledNorm, 'lossScaleStep', 'scaledNorm', [1]);
  checkTensor(state, 'lossScaleStep', 'state', [3]);
  for (const [name, tensor] of Object.entries({ scaledNorm, state })) checkDType(tensor, 'lossScaleStep', name);
  check(clip >= 0, 'lossScaleStep', () => `clip must not be negative, got ${clip}`);
  check(Number.isSafeInteger(growthInterval) && growthInterval > 0, 'lossScaleStep', () => `growthInterval must be a whole number of at least 1, got ${growthInterval}`);
  const areScales = [least, most].every((scale) => Number.isInteger(Math.log2(scale)) && Math.abs(Math.log2(scale)) <= MOST_EXPONENT);
  check(areScales && least <= most, 'lossScaleStep', () => `least and most must be powers of two of exponents within ±${MOST_EXPONENT}, the first no larger, got ${least} and ${most}`);
  const { engine } = state;
  const [norm, update] = [engine.empty([1]), engine.empty([3])];
  runKernel(kernel, { scaled_norm: scaledNorm, norm, update, state }, { limit: clip, epsilon: CLIP_EPSILON, interval: growthInterval, least, most });
  return { norm, update };
});

/** Beyond it the inverse of a power of two is no normal f32. */
const MOST_EXPONENT = 126;

/** Float64 reference of `lossScaleStep`. */
export function lossScaleStepReference(
  scaledNorm: number,
  [scale, taken, wasLeftOut]: readonly [scale: number, taken: number, wasLeftOut: number],
  { clip, growthInterval, least, most }: LossScaleOptions,
): { norm: number; update: [factor: number, taken: number, wasLeftOut: number]; state: [scale: number, taken: number, wasLeftOut: number] } {
  if (!Number.isFinite(scaledNorm)) return { norm: scaledNorm, update: [0, 0, wasLeftOut], state: [Math.max(scale / 2, least), 0, 1] };
  const norm = scaledNorm / scale;
  const grows = taken + 1 >= growthInterval;
  return {
    norm,
    update: [(clip ? clipScaleReference(norm, clip) : 1) / scale, 1, wasLeftOut],
    state: grows ? [Math.min(2 * scale, most), 0, 0] : [scale, taken + 1, 0],
  };
}
