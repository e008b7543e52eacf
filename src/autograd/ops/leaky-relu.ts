import backwardSource from '../../../kernels/leaky-relu.backward.wgsl';
import forwardSource from '../../../kernels/leaky-relu.forward.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

export interface LeakyReluOptions {
  /** Factor of negative values. PyTorch's default. */
  slope?: number;
}

const forwardKernel = defineKernel({
  label: 'leaky-relu.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { count: 'u32', slope: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  slab: { param: 'count', bindings: ['x', 'y'] },
});

const backwardKernel = defineKernel({
  label: 'leaky-relu.backward',
  source: backwardSource,
  inputs: ['x', 'dy'],
  outputs: ['dx'],
  params: { count: 'u32', slope: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  slab: { param: 'count', bindings: ['x', 'dy', 'dx'] },
});

/** x where x ≥ 0, else slope·x. Saves x. */
export const leakyRelu = defineOp('leakyRelu', (x: Tensor, { slope = 0.01 }: LeakyReluOptions = {}): Tensor => {
  checkDType(x, 'leakyRelu', 'x');
  const y = x.engine.empty(x.shape);
  runKernel(forwardKernel, { x, y }, { count: x.size, slope });
  return record(y, 'leakyRelu', [x], { x }, (dY, saved) => {
    const dX = dY.engine.empty(dY.shape);
    runKernel(backwardKernel, { x: saved.x, dy: dY, dx: dX }, { count: dY.size, slope });
    return [dX];
  });
});

/** Float64 reference of `leakyRelu`, of one number. */
export function leakyReluReference(x: number, slope: number): number {
  return x >= 0 ? x : slope * x;
}

/** Derivative of `leakyReluReference`. */
export function leakyReluDerivativeReference(x: number, slope: number): number {
  return x > 0 ? 1 : slope;
}
