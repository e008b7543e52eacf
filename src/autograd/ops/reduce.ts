import lastSource from '../../../kernels/reduce.last.wgsl';
import middleSource from '../../../kernels/reduce.middle.wgsl';
import { check, defineKernel, floats, formatShape, normalizeAxis, sizeOf, stridesOf, type FloatType, type Shape, type SplitAxis } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { chunksOf, innermost } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { affine } from './affine.ts';
import { stridedCopy } from './strided-copy.ts';

export interface ReduceOptions {
  /** Axis or axes to reduce; negative ones count from the end. Default: all. */
  dim?: number | readonly number[];
  /** Keeps reduced axes with extent 1. */
  keepdim?: boolean;
}

/** The summed axis, cut into whole chunks. */
function chunkAxis(param: string, extent: number, unit: number, chunks: number, outer: number): SplitAxis {
  return { extent, unit, bindings: { x: { outer }, y: chunksOf(unit, chunks, outer) }, params: (_, count) => ({ [param]: count, chunks: Math.ceil(count / unit) }) };
}

const lastKernel = defineKernel({
  label: 'reduce.last',
  source: lastSource,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: { rows: 'u32', columns: 'u32', per_chunk: 'u32', chunks: 'u32', scale: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, chunks }) => rows! * chunks!,
  slab: { param: 'rows', bindings: ['x', 'y'] },
  split: ({ rows, columns, per_chunk, chunks }) => [chunkAxis('columns', columns!, per_chunk!, chunks!, rows!)],
});

const middleKernel = defineKernel({
  label: 'reduce.middle',
  source: middleSource,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: { outer: 'u32', extent: 'u32', inner: 'u32', per_chunk: 'u32', chunks: 'u32', scale: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ outer, chunks, inner }, { WORKGROUP_SIZE }) => Math.ceil((outer! * chunks! * inner!) / WORKGROUP_SIZE!),
  slab: { param: 'outer', bindings: ['x', 'y'] },
  split: ({ outer, extent, inner, per_chunk, chunks }) => [
    chunkAxis('extent', extent!, per_chunk!, chunks!, outer!),
    innermost('inner', inner!, 'x', 'y'),
  ],
});

/** Longest stretch that one invocation adds up in a row: bounds its rounding error and leaves work for others. */
const perInvocation = 256;
/** Longest stretch that one workgroup adds up. */
const perWorkgroup = 4096;
/** Up to it a row is left to one invocation: too short to share among a workgroup, whose barriers are costly on a CPU. */
const shortRow = { hardware: 31, software: 4096 };

/** scale·Σ over the axis in the middle of `x` seen as [outer, extent, inner]: [outer, inner] flat. Partial sums are f32. No gradient. */
function sumMiddle(x: Tensor, outer: number, extent: number, inner: number, scale: number, dtype: FloatType): Tensor {
  const byWorkgroup = inner === 1 && extent > (x.engine.device.isSoftware ? shortRow.software : shortRow.hardware);
  const per_chunk = Math.min(byWorkgroup ? perWorkgroup : perInvocation, Math.floor(x.engine.device.bindingLimit / 4));
  const chunks = Math.ceil(extent / per_chunk);
  const y = x.engine.empty([outer * chunks * inner], chunks === 1 ? dtype : 'f32');
  const factor = chunks === 1 ? scale : 1;
  if (byWorkgroup) runKernel(lastKernel, { x, y }, { rows: outer, columns: extent, per_chunk, chunks, scale: factor });
  else runKernel(middleKernel, { x, y }, { outer, extent, inner, per_chunk, chunks, scale: factor });
  if (chunks === 1) return y;
  const sum = sumMiddle(y, outer, chunks, inner, scale, dtype);
  y.dispose();
  return sum;
}

/** scale·Σ of `x` over `axes` (0..rank-1), as a tensor of `shape` in the type of `x`. Deterministic: fixed order. No gradient. */
export function sumAxes(x: Tensor, axes: ReadonlySet<number>, shape: Shape, scale = 1): Tensor {
  let extents = [...x.shape];
  const reduced = extents.map((extent, axis) => axes.has(axis) && extent > 1);
  let current = x;
  let factor = scale;
  // Innermost stretch first: each run of neighbouring reduced axes is one axis to the kernels.
  for (let end = extents.length; end > 0; end--) {
    if (!reduced[end - 1]) continue;
    let start = end - 1;
    while (start > 0 && (reduced[start - 1] || extents[start - 1] === 1)) start--;
    const sum = sumMiddle(current, sizeOf(extents.slice(0, start)), sizeOf(extents.slice(start, end)), sizeOf(extents.slice(end)), factor, x.dtype as FloatType);
    if (current !== x) current.dispose();
    current = sum;
    factor = 1;
    extents = extents.map((extent, axis) => (axis >= start && axis < end ? 1 : extent));
    end = start + 1;
  }
  if (factor !== 1) return affine(current.alias(shape), factor, 0);
  return current.alias(shape);
}

/** Sums a gradient over the axes along which an operand of `shape` was broadcast. */
export function sumToShape(dY: Tensor, shape: Shape): Tensor {
  const lead = dY.rank - shape.length;
  const axes = new Set<number>();
  dY.shape.forEach((extent, axis) => {
    if (axis < lead || (shape[axis - lead] === 1 && extent > 1)) axes.add(axis);
  });
  return sumAxes(dY, axes, shape);
}

function reducedAxes({ dim }: ReduceOptions, rank: number, op: string): Set<number> {
  if (dim === undefined) return new Set(Array.from({ length: rank }, (_, axis) => axis));
  const list = typeof dim === 'number' ? [dim] : dim;
  const axes = new Set(list.map((axis) => normalizeAxis(axis, rank, op)));
  check(axes.size === list.length, op, () => `dim names an axis twice: ${formatShape(list)}`);
  return axes;
}

function reduce(op: string, x: Tensor, options: ReduceOptions, scaleOf: (count: number) => number): Tensor {
  checkDType(x, op, 'x');
  const { shape, rank } = x;
  const axes = reducedAxes(options, rank, op);
  const kept = shape.map((extent, axis) => (axes.has(axis) ? 1 : extent));
  const scale = scaleOf(sizeOf(shape) / sizeOf(kept));
  const y = sumAxes(x, axes, options.keepdim ? kept : kept.filter((_, axis) => !axes.has(axis)), scale);
  return record(y, op, [x], {}, (dY) => {
    const strides = stridesOf(kept).map((stride, axis) => (axes.has(axis) ? 0 : stride));
    const scaled = scale === 1 ? dY : affine(dY, scale, 0);
    return [sizeOf(kept) === sizeOf(shape) ? scaled.alias(shape) : stridedCopy(scaled, shape, strides, op)];
  });
}

/** Sum over `dim` (default: all axes). Gradient: dY spread over the summed axes. Saves nothing. */
export const sum = defineOp('sum', (x: Tensor, options: ReduceOptions = {}): Tensor => reduce('sum', x, options, () => 1));

/** Mean over `dim` (default: all axes). Gradient: dY/n spread over the n averaged elements. Saves nothing. */
export const mean = defineOp('mean', (x: Tensor, options: ReduceOptions = {}): Tensor => reduce('mean', x, options, (count) => 1 / count));

/** Float64 reference of `sum`: sums `x` of `shape` over `axes` (0..rank-1). */
export function sumReference(x: Float64Array, shape: Shape, axes: readonly number[]): Float64Array {
  const target = reducedIndex(shape, axes);
  const y = new Float64Array(sizeOf(shape.filter((_, axis) => !axes.includes(axis))));
  x.forEach((value, i) => (y[target(i)]! += value));
  return y;
}

/** Gradient of `sumReference` with respect to x. */
export function sumBackwardReference(shape: Shape, axes: readonly number[], dY: Float64Array): Float64Array {
  const target = reducedIndex(shape, axes);
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => dY[target(i)]!);
}

/** From an element of `shape` to its element of the shape without `axes`. */
function reducedIndex(shape: Shape, axes: readonly number[]): (i: number) => number {
  const strides = stridesOf(shape);
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const keptStrides = stridesOf(kept.map((axis) => shape[axis]!));
  return (i) => kept.reduce((index, axis, k) => index + (Math.floor(i / strides[axis]!) % shape[axis]!) * keptStrides[k]!, 0);
}
