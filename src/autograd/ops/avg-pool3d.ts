import backwardSource from '../../../kernels/avg-pool3d.backward.wgsl';
import forwardSource from '../../../kernels/avg-pool3d.forward.wgsl';
import { check, defineKernel, formatShape, sizeOf, type KernelSpec, type ParamType, type Shape, type SplitAxis } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { readWindow, volumeAxes } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

export interface AvgPool3dOptions {
  /** Extent of a window: one number, or one for each of the axes D, Y, X. */
  kernel: number | readonly [number, number, number];
  /** Step between windows. Default: the kernel, so that windows neither overlap nor leave gaps. */
  stride?: number | readonly [number, number, number];
}

const params: Record<string, ParamType> = { in_extent: 'vec4u', out_extent: 'vec4u', kernel: 'vec4u', stride: 'vec4u', rows: 'u32' };
const backwardParams: Record<string, ParamType> = { in_first: 'vec4u', in_count: 'vec4u', out_first: 'vec4u', out_count: 'vec4u', kernel: 'vec4u', stride: 'vec4u', rows: 'u32' };

const oneInvocationFor =
  (extent: 'in_count' | 'out_extent'): KernelSpec['workgroups'] =>
  (values, { WORKGROUP_SIZE }) =>
    Math.ceil((values.rows! * sizeOf((values[extent] as unknown as number[]).slice(0, 3))) / WORKGROUP_SIZE!);

function component(params: Record<string, number>, name: string, axis: number): number {
  return (params[name] as unknown as number[])[axis]!;
}

/** Windows along one axis, with the voxels they hold. */
function windowAxis(params: Record<string, number>, axis: number): SplitAxis {
  const [inExtent, outExtent] = [params.in_extent, params.out_extent] as unknown as [number[], number[]];
  const reads = { stride: component(params, 'stride', axis), base: 0, step: 1, taps: component(params, 'kernel', axis) };
  const window = (first: number, count: number): readonly [number, number] => readWindow(first, count, inExtent[axis]!, reads);
  const replaced = (extent: number[], value: number): number[] => extent.map((other, k) => (k === axis ? value : other));
  return {
    extent: outExtent[axis]!,
    bindings: {
      x: { outer: params.rows! * sizeOf(inExtent.slice(0, axis)), extent: inExtent[axis]!, window },
      y: { outer: params.rows! * sizeOf(outExtent.slice(0, axis)) },
    },
    params: (first, count) => ({ in_extent: replaced(inExtent, window(first, count)[1]), out_extent: replaced(outExtent, count) }),
  };
}

/** Windows that may hold voxels `first` to `last` of an axis. */
function windowsWith(first: number, last: number, axis: number, params: Record<string, number>): [number, number] {
  const stride = component(params, 'stride', axis);
  return [Math.ceil((first + 1 - component(params, 'kernel', axis)) / stride), Math.floor(last / stride)];
}

const forwardKernel = defineKernel({
  label: 'avg-pool3d.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  params,
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: oneInvocationFor('out_extent'),
  slab: { param: 'rows', bindings: ['x', 'y'] },
  split: (values) => [0, 1, 2].map((axis) => windowAxis(values, axis)),
});

const backwardKernel = defineKernel({
  label: 'avg-pool3d.backward',
  source: backwardSource,
  inputs: ['dy'],
  outputs: ['dx'],
  params: backwardParams,
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: oneInvocationFor('in_count'),
  slab: { param: 'rows', bindings: ['dy', 'dx'] },
  split: (values) => volumeAxes(values, { name: 'in', binding: 'dx' }, { name: 'out', binding: 'dy' }, windowsWith),
});

/**
 * Mean over windows of a volume, without padding; PyTorch's `avg_pool3d`.
 *
 * `x` [B, C, D, Y, X]. Result [B, C, …] with floor((extent − kernel)/stride) + 1 windows an axis: voxels past the last whole
 * window are left out. Saves nothing. Gradient: x.
 */
export const avgPool3d = defineOp('avgPool3d', (x: Tensor, options: AvgPool3dOptions): Tensor => {
  const { engine } = x;
  checkDType(x, 'avgPool3d', 'x');
  const { inExtent, outExtent, kernel, stride } = windowsOf(x.shape, options);
  const rows = x.shape[0]! * x.shape[1]!;
  const values = { in_extent: [...inExtent, 0], out_extent: [...outExtent, 0], kernel: [...kernel, 0], stride: [...stride, 0], rows };
  const y = engine.empty([x.shape[0]!, x.shape[1]!, ...outExtent]);
  runKernel(forwardKernel, { x, y }, values);
  const inputShape = x.shape;
  return record(y, 'avgPool3d', [x], {}, (dY) => {
    const dX = engine.empty(inputShape);
    const whole = [0, 0, 0, 0];
    const { kernel, stride, in_extent, out_extent } = values;
    runKernel(backwardKernel, { dy: dY, dx: dX }, { in_first: whole, in_count: in_extent, out_first: whole, out_count: out_extent, kernel, stride, rows });
    return [dX];
  });
});

function windowsOf(shape: Shape, options: AvgPool3dOptions): { inExtent: number[]; outExtent: number[]; kernel: number[]; stride: number[] } {
  check(shape.length === 5, 'avgPool3d', () => `x must be [B, C, D, Y, X], got ${formatShape(shape)}`);
  const kernel = tripleOf(options.kernel, 'kernel');
  const stride = tripleOf(options.stride ?? options.kernel, 'stride');
  const inExtent = shape.slice(2);
  check(inExtent.every((extent, axis) => kernel[axis]! <= extent), 'avgPool3d', () => `the kernel ${formatShape(kernel)} does not fit into the input ${formatShape(inExtent)}`);
  return { inExtent, outExtent: inExtent.map((extent, axis) => Math.floor((extent - kernel[axis]!) / stride[axis]!) + 1), kernel, stride };
}

function tripleOf(value: number | readonly number[], name: string): number[] {
  const triple = typeof value === 'number' ? [value, value, value] : [...value];
  check(triple.length === 3 && triple.every((entry) => Number.isInteger(entry) && entry >= 1), 'avgPool3d', () => `${name} must be a positive integer or three of them, got ${JSON.stringify(value)}`);
  return triple;
}

/** Calls `visit` with the flat indices of x and y of every voxel in every window, and the windows' volume. */
function visitWindows(shape: Shape, options: AvgPool3dOptions, visit: (x: number, y: number, windowVolume: number) => void): number {
  const { inExtent, outExtent, kernel, stride } = windowsOf(shape, options);
  const outVolume = sizeOf(outExtent);
  const rows = shape[0]! * shape[1]!;
  for (let y = 0; y < rows * outVolume; y++) {
    const [row, p] = [Math.floor(y / outVolume), y % outVolume];
    const window = [Math.floor(p / (outExtent[1]! * outExtent[2]!)), Math.floor(p / outExtent[2]!) % outExtent[1]!, p % outExtent[2]!];
    const [z, line, column] = window.map((position, axis) => position * stride[axis]!) as [number, number, number];
    for (let k = 0; k < sizeOf(kernel); k++) {
      const inZ = z + Math.floor(k / (kernel[1]! * kernel[2]!));
      const inLine = line + (Math.floor(k / kernel[2]!) % kernel[1]!);
      visit(((row * inExtent[0]! + inZ) * inExtent[1]! + inLine) * inExtent[2]! + column + (k % kernel[2]!), y, sizeOf(kernel));
    }
  }
  return rows * outVolume;
}

/** Float64 reference of `avgPool3d`. Plain loops, for tests. */
export function avgPool3dReference(x: Float64Array, shape: Shape, options: AvgPool3dOptions): Float64Array {
  const y = new Float64Array(visitWindows(shape, options, () => {}));
  visitWindows(shape, options, (xIndex, yIndex, windowVolume) => (y[yIndex]! += x[xIndex]! / windowVolume));
  return y;
}

/** Gradient of `avgPool3dReference` with respect to x. */
export function avgPool3dBackwardReference(dY: Float64Array, shape: Shape, options: AvgPool3dOptions): Float64Array {
  const dX = new Float64Array(sizeOf(shape));
  visitWindows(shape, options, (xIndex, yIndex, windowVolume) => (dX[xIndex]! += dY[yIndex]! / windowVolume));
  return dX;
}
