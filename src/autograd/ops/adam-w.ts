import source from '../../../kernels/adam-w.wgsl';
import { check, defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

export interface AdamWOptions {
  learningRate: number;
  betas: readonly [number, number];
  eps: number;
  /** Decoupled: param ← param · (1 − learningRate · weightDecay). */
  weightDecay: number;
  /** Number of this step of the parameter, from 1: the power in the bias corrections. */
  step: number;
  /** What `step` is where the step before was left out, which the GPU knows before the host. Default `step`. */
  stepAfterLeftOut?: number;
}

const adamWKernel = defineKernel({
  label: 'adam-w',
  source,
  inputs: ['grad', 'scale'],
  outputs: ['param', 'moment', 'square'],
  params: { count: 'u32', optional: 'u32', keep: 'f32', rate: 'f32', correction: 'f32', rate_after: 'f32', correction_after: 'f32', beta1: 'f32', rest1: 'f32', beta2: 'f32', rest2: 'f32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['grad', 'param', 'moment', 'square'] },
});

/**
 * One step of AdamW (Loshchilov & Hutter 2019; the arithmetic of torch.optim.AdamW) on one parameter: `param`, `moment` and
 * `square` (first and second moments, zero before the first step) are updated in place. `grad` is multiplied by `scale` [1], read
 * on the GPU, so that clipping needs no read-back. No gradient.
 *
 * With the `update` [3] of `lossScaleStep` for `scale`, a step that it leaves out changes no bit, and the step after it counts as
 * `stepAfterLeftOut`.
 *
 * @throws EngineError where shapes differ or an option is out of range
 */
export function adamWStep({ param, grad, moment, square, scale }: Record<'param' | 'grad' | 'moment' | 'square' | 'scale', Tensor>, options: AdamWOptions): void {
  const { learningRate, betas: [beta1, beta2], eps, weightDecay, step, stepAfterLeftOut = step } = options;
  for (const [name, tensor] of Object.entries({ grad, moment, square })) {
    checkTensor(tensor, 'adamWStep', name, param.shape);
    checkDType(tensor, 'adamWStep', name);
  }
  checkDType(param, 'adamWStep', 'param');
  const isOptional = scale.shape[0] === 3;
  checkTensor(scale, 'adamWStep', 'scale', [isOptional ? 3 : 1]);
  for (const [name, number] of Object.entries({ step, stepAfterLeftOut })) check(Number.isSafeInteger(number) && number > 0, 'adamWStep', () => `${name} must be a whole number of at least 1, got ${number}`);
  for (const [name, beta] of [['beta1', beta1], ['beta2', beta2]] as const) check(beta >= 0 && beta < 1, 'adamWStep', () => `${name} must be in [0, 1), got ${beta}`);
  check(learningRate >= 0 && weightDecay >= 0 && eps >= 0, 'adamWStep', () => `learningRate, weightDecay and eps must not be negative, got ${learningRate}, ${weightDecay}, ${eps}`);
  param.engine.inOp('adamWStep', () =>
    runKernel(adamWKernel, { grad, scale, param, moment, square }, {
      count: param.size,
      optional: isOptional ? 1 : 0,
      keep: 1 - learningRate * weightDecay,
      rate: learningRate / (1 - beta1 ** step),
      correction: Math.sqrt(1 - beta2 ** step),
      rate_after: learningRate / (1 - beta1 ** stepAfterLeftOut),
      correction_after: Math.sqrt(1 - beta2 ** stepAfterLeftOut),
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      epsilon: eps,
    }),
  );
}

/** Float64 reference of `adamWStep` with a `scale` of one number; updates its arrays in place. */
export function adamWStepReference(
  { param, grad, moment, square }: Record<'param' | 'grad' | 'moment' | 'square', Float64Array>,
  scale: number,
  { learningRate, betas: [beta1, beta2], eps, weightDecay, step }: AdamWOptions,
): void {
  for (let i = 0; i < param.length; i++) {
    const g = scale * grad[i]!;
    moment[i] = beta1 * moment[i]! + (1 - beta1) * g;
    square[i] = beta2 * square[i]! + (1 - beta2) * g * g;
    const corrected = moment[i]! / (1 - beta1 ** step);
    param[i] = param[i]! * (1 - learningRate * weightDecay) - (learningRate * corrected) / (Math.sqrt(square[i]! / (1 - beta2 ** step)) + eps);
  }
}
