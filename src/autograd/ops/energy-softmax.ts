import backwardSource from '../../../kernels/energy-softmax.backward.wgsl';
import forwardSource from '../../../kernels/energy-softmax.forward.wgsl';
import { check, defineKernel } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/** Added to the variance of the energies [O]: a map of equal energies becomes uniform. */
export const ENERGY_EPSILON = 1e-6;

const forwardKernel = defineKernel({
  label: 'energy-softmax.forward',
  source: forwardSource,
  inputs: ['e'],
  outputs: ['p', 'mean', 'rstd'],
  params: { rows: 'u32', columns: 'u32', tau: 'f32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['e', 'p', 'mean', 'rstd'] },
});

const backwardKernel = defineKernel({
  label: 'energy-softmax.backward',
  source: backwardSource,
  inputs: ['e', 'p', 'mean', 'rstd', 'dp'],
  outputs: ['de'],
  params: { rows: 'u32', columns: 'u32', tau: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['e', 'p', 'mean', 'rstd', 'dp', 'de'] },
});

/**
 * An attention map from energies (MODEL §4.3, §4.4 [O]): softmax(z/tau), z the energies standardised along each row (biased
 * variance plus ENERGY_EPSILON). `e` [B, N]; gives [B, N]. Saves e, the map and its statistics. Gradient: e.
 */
export const energySoftmax = defineOp('energySoftmax', (e: Tensor, { tau = 1 }: { tau?: number } = {}): Tensor => {
  checkTensor(e, 'energySoftmax', 'e', [null, null]);
  checkDType(e, 'energySoftmax', 'e');
  check(tau > 0, 'energySoftmax', () => `tau must be positive, got ${tau}`);
  const [rows, columns] = e.shape as [number, number];
  const { engine } = e;
  const p = engine.empty(e.shape);
  const mean = engine.empty([rows]);
  const rstd = engine.empty([rows]);
  runKernel(forwardKernel, { e, p, mean, rstd }, { rows, columns, tau, epsilon: ENERGY_EPSILON });
  return record(p, 'energySoftmax', [e], { e, p, mean, rstd }, (dY, saved) => {
    const de = engine.empty(saved.e.shape);
    runKernel(backwardKernel, { ...saved, dp: dY, de }, { rows, columns, tau });
    return [de];
  });
});
