import source from '../../../kernels/affine.wgsl';
import { defineKernel, floats } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

const affineKernel = defineKernel({
  label: 'affine',
  source,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: { count: 'u32', scale: 'f32', shift: 'f32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['x', 'y'] },
});

/** scale·x + shift with two numbers. No gradient: for the forward and backward passes of other ops. */
export function affine(x: Tensor, scale: number, shift: number): Tensor {
  const y = x.engine.empty(x.shape, x.dtype);
  runKernel(affineKernel, { x, y }, { count: x.size, scale, shift });
  return y;
}
