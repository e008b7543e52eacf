import backwardSource from '../../../kernels/weighted-mean.backward.wgsl';
import forwardSource from '../../../kernels/weighted-mean.forward.wgsl';
import { check, defineKernel } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

const forwardKernel = defineKernel({
  label: 'weighted-mean.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { count: 'u32', weight: 'f32', accumulate: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: () => 1,
  split: ({ count, weight, accumulate }) => [
    { extent: count!, bindings: { x: {} }, params: (first, part) => ({ count: part, weight: (weight! * part) / count!, accumulate: first > 0 ? 1 : accumulate! }) },
  ],
});

const backwardKernel = defineKernel({
  label: 'weighted-mean.backward',
  source: backwardSource,
  inputs: ['dy'],
  outputs: ['dx'],
  params: { count: 'u32', weight: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  split: ({ count, weight }) => [{ extent: count!, bindings: { dx: {} }, params: (_, part) => ({ count: part, weight: (weight! * part) / count! }) }],
});

/** Σ_k weights[k] · mean(tensors[k]), as [1]: adds up the terms of a loss. Saves nothing. Gradients: all tensors. */
export const weightedMean = defineOp('weightedMean', (tensors: readonly Tensor[], weights: readonly number[]): Tensor => {
  check(tensors.length === weights.length, 'weightedMean', () => `takes a weight for each of ${tensors.length} tensors, got ${weights.length}`);
  const { engine } = tensors[0]!;
  const y = engine.empty([1]);
  tensors.forEach((x, k) => {
    checkDType(x, 'weightedMean', `tensor ${k}`);
    runKernel(forwardKernel, { x, y }, { count: x.size, weight: weights[k]!, accumulate: Number(k > 0) });
  });
  return record(y, 'weightedMean', tensors, {}, (dY, _, needs) =>
    tensors.map(({ shape, size }, k) => {
      if (!needs[k]) return null;
      const dx = engine.empty(shape);
      runKernel(backwardKernel, { dy: dY, dx }, { count: size, weight: weights[k]! });
      return dx;
    }),
  );
});
