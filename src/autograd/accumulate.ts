import source from '../../kernels/accumulate.wgsl';
import { defineKernel } from '../engine/index.ts';
import type { Tensor } from './tensor.ts';

const WORKGROUP_SIZE = 64;

const accumulateKernel = defineKernel({
  label: 'accumulate',
  source,
  inputs: ['x'],
  outputs: ['y'],
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  slab: { param: 'count', bindings: ['x', 'y'] },
});

/**
 * Sum of two gradients. Adds `x` into `sum` where nobody else holds its memory, else into a copy; without a sum gives a further
 * handle on `x`.
 */
export function accumulate(sum: Tensor | null, x: Tensor): Tensor {
  const { engine } = x;
  if (!sum) return x.alias();
  const target = sum.isSoleHandle ? sum : engine.copyOf(sum);
  engine.device.run(accumulateKernel, { x: x.view, y: target.view }, { count: x.size });
  if (target !== sum) sum.dispose();
  return target;
}
