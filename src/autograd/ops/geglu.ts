import backwardSource from '../../../kernels/geglu.backward.wgsl';
import forwardSource from '../../../kernels/geglu.forward.wgsl';
import { check, defineKernel, formatShape } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { innermost } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { geluDerivativeReference, geluReference } from './gelu.ts';

const forwardKernel = defineKernel({
  label: 'geglu.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((rows! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['x', 'y'] },
  split: ({ columns }) => [innermost('columns', columns!, 'x', 'y')],
});

const backwardKernel = defineKernel({
  label: 'geglu.backward',
  source: backwardSource,
  inputs: ['x', 'dy'],
  outputs: ['dx'],
  params: { rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((rows! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['x', 'dy', 'dx'] },
  split: ({ columns }) => [innermost('columns', columns!, 'x', 'dy', 'dx')],
});

/**
 * GEGLU (Shazeer 2020, arXiv 2002.05202): first half · gelu(second half) of the last axis, as CT-CLIP's feed-forward has it [C].
 *
 * `x` [..., 2F] → [..., F]. Saves x.
 */
export const geglu = defineOp('geglu', (x: Tensor): Tensor => {
  checkDType(x, 'geglu', 'x');
  const width = x.shape.at(-1) ?? 1;
  check(width % 2 === 0, 'geglu', () => `the last axis holds two halves, got ${formatShape(x.shape)}`);
  const columns = width / 2;
  const rows = x.size / width;
  const y = x.engine.empty([...x.shape.slice(0, -1), columns]);
  runKernel(forwardKernel, { x, y }, { rows, columns });
  return record(y, 'geglu', [x], { x }, (dY, saved) => {
    const dX = dY.engine.empty(saved.x.shape);
    runKernel(backwardKernel, { x: saved.x, dy: dY, dx: dX }, { rows, columns });
    return [dX];
  });
});

/** Float64 reference of `geglu`; `x` is [rows, 2·columns] flat. */
export function gegluReference(x: Float64Array, columns: number): Float64Array {
  return Float64Array.from({ length: x.length / 2 }, (_, i) => {
    const at = i + Math.floor(i / columns) * columns;
    return x[at]! * geluReference(x[at + columns]!);
  });
}

/** Gradient of `gegluReference` with respect to x. */
export function gegluBackwardReference(x: Float64Array, columns: number, dY: Float64Array): Float64Array {
  const dX = new Float64Array(x.length);
  dY.forEach((g, i) => {
    const at = i + Math.floor(i / columns) * columns;
    dX[at] = g * geluReference(x[at + columns]!);
    dX[at + columns] = g * x[at]! * geluDerivativeReference(x[at + columns]!);
  });
  return dX;
}
