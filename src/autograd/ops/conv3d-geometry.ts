import { check, formatShape, type FloatType, type Shape } from '../../engine/index.ts';

/** One number for each of the axes D, Y, X. */
export type Triple = readonly [number, number, number];

export interface Conv3dOptions {
  stride?: number | Triple;
  /** Zeros around the input: the same on all sides, an amount for each axis, or [before, after] for each axis (causal: [[2, 0], …]). */
  padding?: number | Triple | readonly [readonly [number, number], readonly [number, number], readonly [number, number]];
  dilation?: number | Triple;
  /** Input and output channels are cut into this many groups that do not see each other; `groups` = channels is depthwise. */
  groups?: number;
  /** Overrides the adapter's plan (for tests and benches); `subgroup` still falls back where it cannot run. */
  plan?: Conv3dPlan;
}

/**
 * `subgroup`: on CPU adapters that broadcast in registers; `plain`: tiles of channels, or one channel at a time where there are few;
 * `wide`: tiles of as many channels at twice as many positions.
 */
export type Conv3dPlan = 'plain' | 'wide' | 'subgroup';

export type Pass = 'forward' | 'input-gradient' | 'weight-gradient';

/** Everything that a convolution's shapes and options determine. Channels are those of one group. */
export interface Geometry {
  batch: number;
  groups: number;
  inChannels: number;
  outChannels: number;
  inExtent: Triple;
  outExtent: Triple;
  kernel: Triple;
  stride: Triple;
  before: Triple;
  dilation: Triple;
  /** Of x, y and their gradients; the weight is f32. */
  dtype: FloatType;
  /** Asked for by the caller. */
  plan: Conv3dPlan | undefined;
}

/** What shapes and options determine. Throws where they do not fit together. */
export function geometryOf(x: Shape, weight: Shape, options: Conv3dOptions): Omit<Geometry, 'plan' | 'dtype'> {
  const { groups = 1 } = options;
  check(x.length === 5, 'conv3d', () => `x must be [B, C, D, Y, X], got ${formatShape(x)}`);
  check(weight.length === 5, 'conv3d', () => `weight must be [C_out, C_in/groups, kD, kY, kX], got ${formatShape(weight)}`);
  check(Number.isInteger(groups) && groups >= 1, 'conv3d', () => `groups must be a positive integer, got ${groups}`);
  check(x[1]! % groups === 0 && weight[0]! % groups === 0, 'conv3d', () => `groups must divide the channels of x (${x[1]}) and weight (${weight[0]}), got ${groups}`);
  check(weight[1] === x[1]! / groups, 'conv3d', () => `weight must be [${weight[0]}, ${x[1]! / groups}, ...] for ${x[1]} channels in ${groups} groups, got ${formatShape(weight)}`);
  const inExtent = x.slice(2) as unknown as Triple;
  const kernel = weight.slice(2) as unknown as Triple;
  const stride = tripleOf(options.stride ?? 1, 'stride', 1);
  const dilation = tripleOf(options.dilation ?? 1, 'dilation', 1);
  const { before, after } = paddingOf(options.padding ?? 0);
  const outExtent = inExtent.map((extent, axis) => {
    const span = extent + before[axis]! + after[axis]! - dilation[axis]! * (kernel[axis]! - 1) - 1;
    check(span >= 0, 'conv3d', () => `the kernel ${formatShape(kernel)} with dilation ${formatShape(dilation)} does not fit into the padded input ${formatShape(inExtent)}`);
    return Math.floor(span / stride[axis]!) + 1;
  }) as unknown as Triple;
  return { batch: x[0]!, groups, inChannels: weight[1]!, outChannels: weight[0]! / groups, inExtent, outExtent, kernel, stride, before, dilation };
}

function tripleOf(value: number | Triple, name: string, least: number): Triple {
  const triple = typeof value === 'number' ? ([value, value, value] as const) : value;
  check(triple.length === 3 && triple.every((entry) => Number.isInteger(entry) && entry >= least), 'conv3d', () => `${name} must be an integer >= ${least} or three of them, got ${JSON.stringify(value)}`);
  return triple;
}

function paddingOf(padding: NonNullable<Conv3dOptions['padding']>): { before: Triple; after: Triple } {
  if (typeof padding === 'number' || typeof padding[0] === 'number') {
    const same = tripleOf(padding as number | Triple, 'padding', 0);
    return { before: same, after: same };
  }
  const pairs = padding as readonly (readonly [number, number])[];
  check(pairs.every((pair) => Array.isArray(pair) && pair.length === 2), 'conv3d', () => `padding must be a number, [d, h, w] or three [before, after] pairs, got ${JSON.stringify(padding)}`);
  const side = (index: 0 | 1): Triple => tripleOf(pairs.map((pair) => pair[index]) as unknown as Triple, 'padding', 0);
  return { before: side(0), after: side(1) };
}

export function vector(triple: readonly number[]): number[] {
  return [triple[0]!, triple[1]!, triple[2]!, 0];
}

export function flatStrides([, rows, columns]: Triple): Triple {
  return [rows * columns, columns, 1];
}

export function product(extents: readonly number[]): number {
  return extents[0]! * extents[1]! * extents[2]!;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Input positions `offset`, `offset + stride`, … of one axis, and the taps that reach them: tap firstTap + j·tapStep of position m reads dY at m + base + j·readStep. */
export interface Phase {
  offset: number;
  positions: number;
  firstTap: number;
  tapStep: number;
  tapCount: number;
  base: number;
  readStep: number;
}

export function phasesOf(axis: 0 | 1 | 2, { inExtent, kernel, stride, before, dilation }: Geometry): Phase[] {
  const [extent, taps, step, zeros, spread] = [inExtent[axis], kernel[axis], stride[axis], before[axis], dilation[axis]];
  const tapStep = step / greatestCommonDivisor(step, spread);
  const phases: Phase[] = [];
  for (let offset = 0; offset < Math.min(step, extent); offset++) {
    let firstTap = 0;
    while (firstTap < Math.min(tapStep, taps) && (offset + zeros - firstTap * spread) % step !== 0) firstTap++;
    const reached = firstTap < Math.min(tapStep, taps);
    phases.push({
      offset,
      positions: Math.ceil((extent - offset) / step),
      firstTap: reached ? firstTap : 0,
      tapStep,
      tapCount: reached ? Math.ceil((taps - firstTap) / tapStep) : 0,
      base: reached ? (offset + zeros - firstTap * spread) / step : 0,
      readStep: -(tapStep * spread) / step,
    });
  }
  return phases;
}
