import backwardSource from '../../../kernels/gelu.backward.wgsl';
import forwardSource from '../../../kernels/gelu.forward.wgsl';
import { defineKernel, floats } from '../../engine/index.ts';
import { defineOp, floatType, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

const forwardKernel = defineKernel({
  label: 'gelu.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['x', 'y'] },
});

const backwardKernel = defineKernel({
  label: 'gelu.backward',
  source: backwardSource,
  inputs: ['x', 'dy'],
  outputs: ['dx'],
  elements: floats('x', 'dy', 'dx'),
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['x', 'dy', 'dx'] },
});

/** Exact GELU x·Φ(x) (Hendrycks & Gimpel 2016), by the error function; right in relative terms in the negative tail too. Saves x. */
export const gelu = defineOp('gelu', (x: Tensor): Tensor => {
  const y = x.engine.empty(x.shape, floatType(x, 'gelu', 'x'));
  runKernel(forwardKernel, { x, y }, { count: x.size });
  return record(y, 'gelu', [x], { x }, (dY, saved) => {
    const dX = dY.engine.empty(dY.shape, dY.dtype);
    runKernel(backwardKernel, { x: saved.x, dy: dY, dx: dX }, { count: dY.size });
    return [dX];
  });
});

/**
 * Complementary error function in float64: the Maclaurin series of erf up to 2.5, the Legendre continued fraction beyond
 * (Abramowitz & Stegun 7.1.6 and 7.1.14). Relative error below 1e-12.
 */
export function erfcReference(x: number): number {
  if (x < 0) return 2 - erfcReference(-x);
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let k = 120; k >= 1; k--) fraction = x + k / 2 / fraction;
  return Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}

/** Float64 reference of `gelu`, of one number. */
export function geluReference(x: number): number {
  return 0.5 * x * erfcReference(-x / Math.SQRT2);
}

/** Derivative of `geluReference`. */
export function geluDerivativeReference(x: number): number {
  return 0.5 * erfcReference(-x / Math.SQRT2) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}
