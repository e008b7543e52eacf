import { check } from './errors.ts';

export type Shape = readonly number[];

/** Number of elements of a shape; 1 for a scalar `[]`. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** NumPy broadcasting of two shapes. Throws naming `where` when an axis has two different extents, neither 1. */
export function broadcastShapes(a: Shape, b: Shape, where: string): number[] {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let axis = 0; axis < rank; axis++) {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    check(x === y || x === 1 || y === 1, where, () => `shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast`);
    shape[axis] = x === 1 ? y : x;
  }
  return shape;
}

/** Turns a possibly negative axis into 0..rank-1. */
export function normalizeAxis(axis: number, rank: number, where: string): number {
  check(Number.isInteger(axis) && axis >= -rank && axis < rank, where, () => `axis ${axis} is outside a tensor of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** Throws unless `shape` holds positive integers. */
export function checkShape(shape: Shape, where: string): void {
  check(
    shape.every((extent) => Number.isSafeInteger(extent) && extent >= 1),
    where,
    () => `a shape holds positive integers, got ${formatShape(shape)}`,
  );
}
