import backwardSource from '../../../kernels/map-distance.backward.wgsl';
import forwardSource from '../../../kernels/map-distance.forward.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { UNIT_EPSILON } from './normalize.ts';

const forwardKernel = defineKernel({
  label: 'map-distance.forward',
  source: forwardSource,
  inputs: ['s', 't'],
  outputs: ['distance', 's_rnorm', 't_rnorm'],
  params: { rows: 'u32', columns: 'u32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['s', 't', 'distance', 's_rnorm', 't_rnorm'] },
});

const backwardKernel = defineKernel({
  label: 'map-distance.backward',
  source: backwardSource,
  inputs: ['s', 't', 'distance', 's_rnorm', 't_rnorm', 'dy'],
  outputs: ['ds'],
  params: { rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((rows! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['s', 't', 'distance', 's_rnorm', 't_rnorm', 'dy', 'ds'] },
});

/**
 * Squared distance of attention maps at unit length (attention transfer, Zagoruyko & Komodakis 2017; MODEL §4.1):
 * ‖s/‖s‖ − t/‖t‖‖² of each row. `s` [B, N], `t` [B, N] the constant target; gives [B]. Saves s, t and their lengths. Gradient: s.
 */
export const mapDistance = defineOp('mapDistance', (s: Tensor, t: Tensor): Tensor => {
  checkTensor(s, 'mapDistance', 's', [null, null]);
  checkTensor(t, 'mapDistance', 't', s.shape);
  checkDType(s, 'mapDistance', 's');
  checkDType(t, 'mapDistance', 't');
  const [rows, columns] = s.shape as [number, number];
  const { engine } = s;
  const [distance, s_rnorm, t_rnorm] = [engine.empty([rows]), engine.empty([rows]), engine.empty([rows])];
  runKernel(forwardKernel, { s, t, distance, s_rnorm, t_rnorm }, { rows, columns, epsilon: UNIT_EPSILON });
  return record(distance, 'mapDistance', [s], { s, t, distance, s_rnorm, t_rnorm }, (dY, saved) => {
    const ds = engine.empty(saved.s.shape);
    runKernel(backwardKernel, { ...saved, dy: dY, ds }, { rows, columns });
    return [ds];
  });
});
