import ratioSource from '../../../kernels/relative-distance.ratio.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { rowSum, tokenAffine, tokenSum } from './token-sums.ts';

/** Least squared length of a target: one that is all zero gives no infinity. */
export const RELATIVE_EPSILON = 1e-12;

const ratioKernel = defineKernel({
  label: 'relative-distance.ratio',
  source: ratioSource,
  inputs: ['x', 'd'],
  outputs: ['y'],
  params: { count: 'u32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  slab: { param: 'count', bindings: ['x', 'd', 'y'] },
});

/**
 * Squared distance relative to the target (MODEL §4.3): ‖x − target‖²_F / ‖target‖²_F of each batch element. `x`, `target`
 * [B, N, C]; gives [B]. The target is a constant. Saves both. Gradient: dx = 2 (x − target) dY / ‖target‖².
 */
export const relativeDistance = defineOp('relativeDistance', (x: Tensor, target: Tensor): Tensor => {
  checkTensor(x, 'relativeDistance', 'x', [null, null, null]);
  checkTensor(target, 'relativeDistance', 'target', x.shape);
  checkDType(x, 'relativeDistance', 'x');
  checkDType(target, 'relativeDistance', 'target');
  const square = rowSum(tokenSum(target, 'square'));
  const distance = ratio(rowSum(tokenSum(x, 'squaredDifference', { z: target })), square);
  return record(distance, 'relativeDistance', [x], { x, target, square }, (dY, saved) => [
    tokenAffine(saved.x, 'relativeDistance', 2, { z: saved.target, v: ratio(dY, saved.square) }),
  ]);
});

function ratio(x: Tensor, d: Tensor): Tensor {
  const y = x.engine.empty(x.shape);
  runKernel(ratioKernel, { x, d, y }, { count: x.size, epsilon: RELATIVE_EPSILON });
  return y;
}
