import { broadcastShapes, check, formatShape, normalizeAxis, sameShape, sizeOf, stridesOf, type Shape } from '../../engine/index.ts';
import { defineOp, floatType } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { sumToShape } from './reduce.ts';
import { stridedCopy } from './strided-copy.ts';

/** Axis `k` of the output is axis `axes[k]` of `x`. Copies, unless only axes of extent 1 move. Saves nothing. */
export const permute = defineOp('permute', (x: Tensor, axes: readonly number[]): Tensor => {
  const order = axes.map((axis) => normalizeAxis(axis, x.rank, 'permute'));
  check(order.length === x.rank && new Set(order).size === x.rank, 'permute', () => `axes must name each of the ${x.rank} axes once, got ${formatShape(axes)}`);
  return record(permuted(x, order), 'permute', [x], {}, (dY) => [permuted(dY, inverseOrder(order))]);
});

/** `x` with axes `a` and `b` exchanged. */
export const transpose = defineOp('transpose', (x: Tensor, a: number, b: number): Tensor => {
  const order = x.shape.map((_, axis) => axis);
  const first = normalizeAxis(a, x.rank, 'transpose');
  const second = normalizeAxis(b, x.rank, 'transpose');
  order[first] = second;
  order[second] = first;
  return record(permuted(x, order), 'transpose', [x], {}, (dY) => [permuted(dY, order)]);
});

/** `x` repeated along axes of extent 1 (and along new leading axes) to `shape`. Gradient: sums over them. Saves nothing. */
export const expand = defineOp('expand', (x: Tensor, shape: Shape): Tensor => {
  floatType(x, 'expand', 'x');
  check(sameShape(broadcastShapes(x.shape, shape, 'expand'), shape), 'expand', () => `${formatShape(x.shape)} cannot be expanded to ${formatShape(shape)}`);
  const lead = shape.length - x.rank;
  const own = stridesOf(x.shape);
  const strides = shape.map((_, axis) => (axis < lead || x.shape[axis - lead] === 1 ? 0 : own[axis - lead]!));
  const y = sizeOf(shape) === x.size ? x.alias(shape) : stridedCopy(x, shape, strides, 'expand');
  return record(y, 'expand', [x], {}, (dY) => [sumToShape(dY, x.shape)]);
});

function permuted(x: Tensor, order: readonly number[]): Tensor {
  const shape = order.map((axis) => x.shape[axis]!);
  const moving = order.filter((axis) => x.shape[axis]! > 1);
  if (moving.every((axis, k) => k === 0 || axis > moving[k - 1]!)) return x.alias(shape);
  const strides = stridesOf(x.shape);
  return stridedCopy(x, shape, order.map((axis) => strides[axis]!), 'permute');
}

/** Reference of `permute`. Its gradient is itself with the inverse order. */
export function permuteReference(x: Float64Array, shape: Shape, axes: readonly number[]): Float64Array {
  const strides = stridesOf(shape);
  const target = axes.map((axis) => shape[axis]!);
  const targetStrides = stridesOf(target);
  return Float64Array.from(x, (_, i) => x[target.reduce((index, extent, k) => index + (Math.floor(i / targetStrides[k]!) % extent) * strides[axes[k]!]!, 0)]!);
}

/** The order that undoes `axes`. */
export function inverseOrder(axes: readonly number[]): number[] {
  return axes.map((_, axis) => axes.indexOf(axis));
}
