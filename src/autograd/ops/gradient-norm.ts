import clipSource from '../../../kernels/gradient-norm.clip.wgsl';
import finishSource from '../../../kernels/gradient-norm.finish.wgsl';
import partialSource from '../../../kernels/gradient-norm.partial.wgsl';
import { check, defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

/** Elements whose squares one workgroup adds up. */
const STRETCH = 8192;
/** Added to the norm before the division; as torch.nn.utils.clip_grad_norm_. */
export const CLIP_EPSILON = 1e-6;

const partialKernel = defineKernel({
  label: 'gradient-norm.partial',
  source: partialSource,
  inputs: ['x'],
  outputs: ['partials'],
  params: { count: 'u32', stretch: 'u32', first: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count, stretch }) => Math.ceil(count! / stretch!),
  split: ({ count, stretch, first }) => [{ extent: count!, unit: stretch!, bindings: { x: {} }, params: (from, part) => ({ count: part, first: first! + from / stretch! }) }],
});

const finishKernel = defineKernel({
  label: 'gradient-norm.finish',
  source: finishSource,
  inputs: ['partials'],
  outputs: ['norm'],
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: () => 1,
});

const clipKernel = defineKernel({
  label: 'gradient-norm.clip',
  source: clipSource,
  inputs: ['norm'],
  outputs: ['scale'],
  params: { limit: 'f32', epsilon: 'f32' },
  workgroups: () => 1,
});

/** The L2 norm of all elements of all tensors together, as [1]. Deterministic: two stages, no atomics. No gradient. */
export const gradientNorm = defineOp('gradientNorm', (tensors: readonly Tensor[]): Tensor => {
  const { engine } = tensors[0]!;
  const stretch = Math.min(STRETCH, Math.floor(engine.device.bindingLimit / 4));
  const counts = tensors.map(({ size }) => Math.ceil(size / stretch));
  const count = counts.reduce((sum, stretches) => sum + stretches, 0);
  const partials = engine.empty([count]);
  let first = 0;
  tensors.forEach((x, index) => {
    checkDType(x, 'gradientNorm', `tensor ${index}`);
    runKernel(partialKernel, { x, partials }, { count: x.size, stretch, first });
    first += counts[index]!;
  });
  const norm = engine.empty([1]);
  runKernel(finishKernel, { partials, norm }, { count });
  return norm;
});

/** What to multiply gradients of norm `norm` [1] with, so that they have at most `limit`: min(1, limit/(norm + 1e-6)), as [1]. */
export const clipScale = defineOp('clipScale', (norm: Tensor, limit: number): Tensor => {
  checkTensor(norm, 'clipScale', 'norm', [1]);
  check(limit > 0, 'clipScale', () => `limit must be positive, got ${limit}`);
  const scale = norm.engine.empty([1]);
  runKernel(clipKernel, { norm, scale }, { limit, epsilon: CLIP_EPSILON });
  return scale;
});

/** Float64 reference of `gradientNorm`. */
export function gradientNormReference(tensors: readonly Float64Array[]): number {
  return Math.sqrt(tensors.reduce((sum, x) => x.reduce((square, value) => square + value * value, sum), 0));
}

/** Float64 reference of `clipScale`. */
export function clipScaleReference(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + CLIP_EPSILON));
}
