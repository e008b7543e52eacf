import backwardShortSource from '../../../kernels/softmax.backward-short.wgsl';
import backwardSource from '../../../kernels/softmax.backward.wgsl';
import forwardShortSource from '../../../kernels/softmax.forward-short.wgsl';
import forwardSource from '../../../kernels/softmax.forward.wgsl';
import { defineKernel, normalizeAxis, sizeOf, type KernelSpec } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { innermost } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

export interface SoftmaxOptions {
  /** Axis to normalise over; negative counts from the end. */
  dim?: number;
}

const params = { outer: 'u32', length: 'u32', inner: 'u32' } as const;
const constants = { WORKGROUP_SIZE: 64 };
const rowAWorkgroup: KernelSpec['workgroups'] = ({ outer, inner }) => outer! * inner!;
const rowAnInvocation: KernelSpec['workgroups'] = ({ outer, inner }, { WORKGROUP_SIZE }) => Math.ceil((outer! * inner!) / WORKGROUP_SIZE!);
const innerAxis =
  (...names: string[]): KernelSpec['split'] =>
  ({ inner }) => [innermost('inner', inner!, ...names)];
const forwardBindings = { inputs: ['x'], outputs: ['y'], params, constants, slab: { param: 'outer', bindings: ['x', 'y'] }, split: innerAxis('x', 'y') };
const backwardBindings = { inputs: ['y', 'dy'], outputs: ['dx'], params, constants, slab: { param: 'outer', bindings: ['y', 'dy', 'dx'] }, split: innerAxis('y', 'dy', 'dx') };

const forwardKernel = defineKernel({ label: 'softmax.forward', source: forwardSource, workgroups: rowAWorkgroup, ...forwardBindings });
const forwardShortKernel = defineKernel({ label: 'softmax.forward-short', source: forwardShortSource, workgroups: rowAnInvocation, ...forwardBindings });
const backwardKernel = defineKernel({ label: 'softmax.backward', source: backwardSource, workgroups: rowAWorkgroup, ...backwardBindings });
const backwardShortKernel = defineKernel({ label: 'softmax.backward-short', source: backwardShortSource, workgroups: rowAnInvocation, ...backwardBindings });

/** Rows up to this length are summed by one invocation each: shorter than a workgroup's strides and tree together. */
const shortRow = 64;

/** Softmax along `dim`, stable (the maximum is subtracted). A row of −∞ gives 1/length. Saves y. */
export const softmax = defineOp('softmax', (x: Tensor, { dim = -1 }: SoftmaxOptions = {}): Tensor => {
  const { engine } = x;
  checkDType(x, 'softmax', 'x');
  const { outer, length, inner } = split(x.shape, dim);
  const y = engine.empty(x.shape);
  runKernel(length <= shortRow ? forwardShortKernel : forwardKernel, { x, y }, { outer, length, inner });
  return record(y, 'softmax', [x], { y }, (dY, saved) => {
    const dX = engine.empty(saved.y.shape);
    runKernel(length <= shortRow ? backwardShortKernel : backwardKernel, { y: saved.y, dy: dY, dx: dX }, { outer, length, inner });
    return [dX];
  });
});

function split(shape: readonly number[], dim: number): { outer: number; length: number; inner: number } {
  const axis = normalizeAxis(dim, shape.length, 'softmax');
  return { outer: sizeOf(shape.slice(0, axis)), length: shape[axis]!, inner: sizeOf(shape.slice(axis + 1)) };
}

/** Float64 reference of `softmax`. Plain loops, for tests. */
export function softmaxReference(x: Float64Array, shape: readonly number[], dim = -1): Float64Array {
  const y = new Float64Array(x.length);
  eachRow(shape, dim, (row) => {
    const largest = Math.max(...row.map((i) => x[i]!));
    const sum = row.reduce((total, i) => total + Math.exp(x[i]! - largest), 0);
    for (const i of row) y[i] = Math.exp(x[i]! - largest) / sum;
  });
  return y;
}

/** Gradient of `softmaxReference` with respect to x. */
export function softmaxBackwardReference(x: Float64Array, dY: Float64Array, shape: readonly number[], dim = -1): Float64Array {
  const y = softmaxReference(x, shape, dim);
  const dX = new Float64Array(x.length);
  eachRow(shape, dim, (row) => {
    const mean = row.reduce((total, i) => total + dY[i]! * y[i]!, 0);
    for (const i of row) dX[i] = y[i]! * (dY[i]! - mean);
  });
  return dX;
}

function eachRow(shape: readonly number[], dim: number, visit: (indices: number[]) => void): void {
  const { outer, length, inner } = split(shape, dim);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) visit(Array.from({ length }, (_, t) => (o * length + t) * inner + i));
  }
}
