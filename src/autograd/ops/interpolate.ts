import backwardSource from '../../../kernels/interpolate.backward.wgsl';
import forwardSource from '../../../kernels/interpolate.forward.wgsl';
import { check, defineKernel, formatShape, sizeOf, type KernelSpec, type ParamType, type Shape, type SplitAxis } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { volumeAxes } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

export interface InterpolateOptions {
  /** Extents D, Y, X of the result. */
  size: readonly [number, number, number];
}

const maxExtent = 32767; // (2·o + 3)·extent has to fit 32 bits

const params: Record<string, ParamType> = { in_extent: 'vec4u', in_first: 'vec4u', in_count: 'vec4u', out_extent: 'vec4u', out_first: 'vec4u', out_count: 'vec4u', rows: 'u32' };

const oneInvocationFor =
  (extent: 'in_count' | 'out_count'): KernelSpec['workgroups'] =>
  (values, { WORKGROUP_SIZE }) =>
    Math.ceil((values.rows! * sizeOf((values[extent] as unknown as number[]).slice(0, 3))) / WORKGROUP_SIZE!);

/** Inputs that outputs `first` to `last` of an axis read: those of the two ends and all between. */
function readBy(first: number, last: number, axis: number, params: Record<string, number>): [number, number] {
  const [inExtent, outExtent] = extentsOf(params, axis);
  const low = (o: number): number => Math.min(Math.floor(Math.max((2 * o + 1) * inExtent - outExtent, 0) / (2 * outExtent)), inExtent - 1);
  return [low(first), Math.min(low(last) + 1, inExtent - 1)];
}

/** Outputs that may read inputs `first` to `last` of an axis; as readers_of in the kernel. */
function readersOf(first: number, last: number, axis: number, params: Record<string, number>): [number, number] {
  const [inExtent, outExtent] = extentsOf(params, axis);
  const from = Math.floor((Math.max(2 * first - 1, 0) * outExtent) / (2 * inExtent)) - 1;
  return [Math.max(from, 0), Math.min(Math.floor(((2 * last + 3) * outExtent) / (2 * inExtent)) + 1, outExtent - 1)];
}

/** Outputs of an axis: each piece gives what its part of dY adds to dX. */
function outputAxis(params: Record<string, number>, axis: number): SplitAxis {
  const { out_first: starts, out_count: counts } = params as unknown as Record<'out_first' | 'out_count', number[]>;
  const replaced = (vector: number[], value: number): number[] => vector.map((other, k) => (k === axis ? value : other));
  return {
    extent: counts[axis]!,
    bindings: { dy: { outer: params.rows! * sizeOf(counts.slice(0, axis)) } },
    params: (first, count) => ({ out_first: replaced(starts, starts[axis]! + first), out_count: replaced(counts, count) }),
    sums: ['dx'],
  };
}

function extentsOf(params: Record<string, number>, axis: number): [number, number] {
  return [params.in_extent, params.out_extent].map((extent) => (extent as unknown as number[])[axis]!) as [number, number];
}

const forwardKernel = defineKernel({
  label: 'interpolate.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  params,
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: oneInvocationFor('out_count'),
  slab: { param: 'rows', bindings: ['x', 'y'] },
  split: (values) => volumeAxes(values, { name: 'out', binding: 'y' }, { name: 'in', binding: 'x' }, readBy),
});

const backwardKernel = defineKernel({
  label: 'interpolate.backward',
  source: backwardSource,
  inputs: ['dy'],
  outputs: ['dx'],
  params,
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: oneInvocationFor('in_count'),
  slab: { param: 'rows', bindings: ['dy', 'dx'] },
  split: (values) => volumeAxes(values, { name: 'in', binding: 'dx' }, { name: 'out', binding: 'dy' }, readersOf).concat([0, 1, 2].map((axis) => outputAxis(values, axis))),
});

/**
 * Trilinear interpolation of a volume to another size; PyTorch's `interpolate(mode='trilinear', align_corners=False)`, which
 * does not smooth when it makes a volume smaller.
 *
 * `x` [B, C, D, Y, X]. Result [B, C, ...size]. Saves nothing. Gradient: x.
 */
export const interpolate = defineOp('interpolate', (x: Tensor, { size }: InterpolateOptions): Tensor => {
  const { engine } = x;
  checkDType(x, 'interpolate', 'x');
  checkExtents(x.shape, size);
  const rows = x.shape[0]! * x.shape[1]!;
  const [in_extent, out_extent] = [[...x.shape.slice(2), 0], [...size, 0]];
  const whole = [0, 0, 0, 0];
  const values = { in_extent, in_first: whole, in_count: in_extent, out_extent, out_first: whole, out_count: out_extent, rows };
  const y = engine.empty([x.shape[0]!, x.shape[1]!, ...size]);
  runKernel(forwardKernel, { x, y }, values);
  const inputShape = x.shape;
  return record(y, 'interpolate', [x], {}, (dY) => {
    const dX = engine.empty(inputShape);
    runKernel(backwardKernel, { dy: dY, dx: dX }, values);
    return [dX];
  });
});

function checkExtents(shape: Shape, size: readonly number[]): void {
  check(shape.length === 5, 'interpolate', () => `x must be [B, C, D, Y, X], got ${formatShape(shape)}`);
  const fits = (extent: number): boolean => Number.isInteger(extent) && extent >= 1 && extent <= maxExtent;
  check(size.length === 3 && size.every(fits), 'interpolate', () => `size must be three integers from 1 to ${maxExtent}, got ${formatShape(size)}`);
  check(shape.slice(2).every(fits), 'interpolate', () => `x may extend to ${maxExtent} an axis, got ${formatShape(shape)}`);
}

/** Calls `visit` with the flat indices of x and y of every read, and its weight. */
function visitReads(shape: Shape, size: readonly number[], visit: (x: number, y: number, weight: number) => void): void {
  const extent = shape.slice(2);
  const reads = extent.map((inExtent, axis) =>
    Array.from({ length: size[axis]! }, (_, o) => {
      const source = Math.max(((o + 0.5) * inExtent) / size[axis]! - 0.5, 0);
      const low = Math.min(Math.floor(source), inExtent - 1);
      return [
        { at: low, weight: 1 - (source - low) },
        { at: Math.min(low + 1, inExtent - 1), weight: source - low },
      ];
    }),
  );
  for (let y = 0; y < shape[0]! * shape[1]! * sizeOf(size); y++) {
    const row = Math.floor(y / sizeOf(size));
    for (const z of reads[0]![Math.floor(y / (size[1]! * size[2]!)) % size[0]!]!) {
      for (const line of reads[1]![Math.floor(y / size[2]!) % size[1]!]!) {
        for (const column of reads[2]![y % size[2]!]!) {
          visit(((row * extent[0]! + z.at) * extent[1]! + line.at) * extent[2]! + column.at, y, z.weight * line.weight * column.weight);
        }
      }
    }
  }
}

/** Float64 reference of `interpolate`. Plain loops, for tests. */
export function interpolateReference(x: Float64Array, shape: Shape, size: readonly number[]): Float64Array {
  const y = new Float64Array(shape[0]! * shape[1]! * sizeOf(size));
  visitReads(shape, size, (xIndex, yIndex, weight) => (y[yIndex]! += weight * x[xIndex]!));
  return y;
}

/** Gradient of `interpolateReference` with respect to x. */
export function interpolateBackwardReference(dY: Float64Array, shape: Shape, size: readonly number[]): Float64Array {
  const dX = new Float64Array(sizeOf(shape));
  visitReads(shape, size, (xIndex, yIndex, weight) => (dX[xIndex]! += weight * dY[yIndex]!));
  return dX;
}
