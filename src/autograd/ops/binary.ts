import broadcastSource from '../../../kernels/binary.broadcast.wgsl';
import sameSource from '../../../kernels/binary.same.wgsl';
import { broadcastShapes, check, defineKernel, floats, sameShape, sizeOf, stridesOf, type Shape } from '../../engine/index.ts';
import { defineOp, floatType, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import { Tensor } from '../tensor.ts';
import { affine } from './affine.ts';
import { sumToShape } from './reduce.ts';
import { axisParams, checkWalk, maxStridedRank, mergeAxes, walkAxes } from './strided-copy.ts';

export type Operand = Tensor | number;

const operations = { add: 0, sub: 1, mul: 2, div: 3 } as const;
type Operation = keyof typeof operations;

const sameKernel = defineKernel({
  label: 'binary.same',
  source: sameSource,
  inputs: ['a', 'b'],
  outputs: ['y'],
  elements: floats('a', 'b', 'y'),
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1, OPERATION: 0 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['a', 'b', 'y'] },
});

const broadcastKernel = defineKernel({
  label: 'binary.broadcast',
  source: broadcastSource,
  inputs: ['a', 'b'],
  outputs: ['y'],
  elements: floats('a', 'b', 'y'),
  params: {
    extents_low: 'vec4u',
    extents_high: 'vec4u',
    a_strides_low: 'vec4u',
    a_strides_high: 'vec4u',
    b_strides_low: 'vec4u',
    b_strides_high: 'vec4u',
    count: 'u32',
  },
  constants: { WORKGROUP_SIZE: 64, RUN: 1, OPERATION: 0, RANK: maxStridedRank },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  split: (params) => walkAxes(params, { a: 'a_strides', b: 'b_strides' }),
});

/** Strides of an operand of `shape` as it is walked over the broadcast shape `target`: 0 along axes that it repeats. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const lead = target.length - shape.length;
  const own = stridesOf(shape);
  return target.map((_, axis) => (axis < lead || shape[axis - lead] === 1 ? 0 : own[axis - lead]!));
}

/** a ∘ b with broadcasting. No gradient. */
function combine(operation: Operation, a: Tensor, b: Tensor): Tensor {
  const { engine } = a;
  const constants = { OPERATION: operations[operation] };
  if (sameShape(a.shape, b.shape)) {
    const y = engine.empty(a.shape, a.dtype);
    runKernel(sameKernel, { a, b, y }, { count: y.size }, constants);
    return y;
  }
  const shape = broadcastShapes(a.shape, b.shape, operation);
  const walk = mergeAxes(shape, [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)]);
  checkWalk(walk, operation);
  const y = engine.empty(shape, a.dtype);
  const [aStrides, bStrides] = walk.strides as [number[], number[]];
  const params = { ...axisParams('extents', walk.extents), ...axisParams('a_strides', aStrides), ...axisParams('b_strides', bStrides), count: y.size };
  runKernel(broadcastKernel, { a, b, y }, params, { ...constants, RANK: walk.extents.length });
  return y;
}

/** A tensor and a number, where that is scale·x + shift; null where it is not (number / tensor). */
function withNumber(operation: Operation, a: Operand, b: Operand): Tensor | null {
  const isLeft = typeof a === 'number';
  const x = (isLeft ? b : a) as Tensor;
  const value = (isLeft ? a : b) as number;
  floatType(x, operation, isLeft ? 'b' : 'a');
  if (operation === 'div' && isLeft) return null;
  const scale = operation === 'mul' ? value : operation === 'div' ? 1 / value : operation === 'sub' && isLeft ? -1 : 1;
  const shift = operation === 'add' ? value : operation === 'sub' ? (isLeft ? value : -value) : 0;
  return record(affine(x, scale, shift), operation, [x], {}, (dY) => [scale === 1 ? dY : affine(dY, scale, 0)]);
}

/** Numbers become scalars on the GPU, of the type of the other operand; tensors are checked. */
function operandTensor(operand: Operand, other: Operand, operation: Operation, name: string): Tensor {
  if (typeof operand === 'number') return (other as Tensor).engine.full([], operand, { dtype: floatType(other as Tensor, operation, name === 'a' ? 'b' : 'a') });
  floatType(operand, operation, name);
  return operand;
}

type Gradients = (dY: Tensor, saved: { a: Tensor | null; b: Tensor | null; y: Tensor | null }, needs: readonly boolean[]) => [Tensor | null, Tensor | null];

/** What each operation keeps for its gradients, and the gradients before they are summed over broadcast axes. */
const rules: Record<Operation, { keepsA?: true; keepsB?: true; keepsY?: true; gradients: Gradients }> = {
  add: { gradients: (dY) => [dY, dY] },
  sub: { gradients: (dY, _, [, needsB]) => [dY, needsB ? affine(dY, -1, 0) : null] },
  mul: {
    keepsA: true,
    keepsB: true,
    gradients: (dY, { a, b }, [needsA, needsB]) => [needsA ? combine('mul', dY, b!) : null, needsB ? combine('mul', dY, a!) : null],
  },
  div: {
    keepsB: true,
    keepsY: true,
    gradients: (dY, { b, y }, [, needsB]) => {
      const dA = combine('div', dY, b!);
      return [dA, needsB ? affine(combine('mul', dA, y!), -1, 0) : null];
    },
  },
};

function defineBinary(operation: Operation): (a: Operand, b: Operand) => Tensor {
  return defineOp(operation, (first: Operand, second: Operand): Tensor => {
    if (typeof first === 'number' || typeof second === 'number') {
      const y = withNumber(operation, first, second);
      if (y) return y;
    }
    const a = operandTensor(first, second, operation, 'a');
    const b = operandTensor(second, first, operation, 'b');
    check(a.dtype === b.dtype, operation, () => `a and b must have one type, got ${a.dtype} and ${b.dtype}; convert one of them: ops.cast(b, '${a.dtype}')`);
    const y = combine(operation, a, b);
    const { keepsA, keepsB, keepsY, gradients } = rules[operation];
    // An operand is only kept for the gradient of the other one.
    const saved = { a: keepsA && b.requiresGrad ? a : null, b: keepsB && (a.requiresGrad || operation === 'div') ? b : null, y: keepsY ? y : null };
    return record(y, operation, [a, b], saved, (dY, held, needs) => {
      const [dA, dB] = gradients(dY, held, needs);
      return [needs[0] && dA ? sumToShape(dA, a.shape) : null, needs[1] && dB ? sumToShape(dB, b.shape) : null];
    });
  });
}

/** a + b with NumPy broadcasting; an operand may be a number. Saves nothing. */
export const add = defineBinary('add');
/** a − b with NumPy broadcasting; an operand may be a number. Saves nothing. */
export const sub = defineBinary('sub');
/** a·b with NumPy broadcasting; an operand may be a number. Saves each operand whose partner needs a gradient. */
export const mul = defineBinary('mul');
/** a/b with NumPy broadcasting; an operand may be a number. Saves b and the quotient. */
export const div = defineBinary('div');

/** Float64 reference of the four operations, with broadcasting. */
export function binaryReference(operation: Operation, a: Float64Array, aShape: Shape, b: Float64Array, bShape: Shape): Float64Array {
  const { size, atA, atB } = broadcastWalk(aShape, bShape);
  return Float64Array.from({ length: size }, (_, i) => {
    const u = a[atA(i)]!;
    const v = b[atB(i)]!;
    return operation === 'add' ? u + v : operation === 'sub' ? u - v : operation === 'mul' ? u * v : u / v;
  });
}

/** Gradients of `binaryReference` with respect to both operands. */
export function binaryBackwardReference(
  operation: Operation,
  a: Float64Array,
  aShape: Shape,
  b: Float64Array,
  bShape: Shape,
  dY: Float64Array,
): { a: Float64Array; b: Float64Array } {
  const { atA, atB } = broadcastWalk(aShape, bShape);
  const dA = new Float64Array(a.length);
  const dB = new Float64Array(b.length);
  dY.forEach((g, i) => {
    const u = a[atA(i)]!;
    const v = b[atB(i)]!;
    dA[atA(i)]! += operation === 'mul' ? g * v : operation === 'div' ? g / v : g;
    dB[atB(i)]! += operation === 'add' ? g : operation === 'sub' ? -g : operation === 'mul' ? g * u : (-g * u) / (v * v);
  });
  return { a: dA, b: dB };
}

function broadcastWalk(aShape: Shape, bShape: Shape): { size: number; atA: (i: number) => number; atB: (i: number) => number } {
  const shape = broadcastShapes(aShape, bShape, 'binaryReference');
  const strides = stridesOf(shape);
  const walker = (own: readonly number[]) => (i: number) => shape.reduce((index, extent, axis) => index + (Math.floor(i / strides[axis]!) % extent) * own[axis]!, 0);
  return { size: sizeOf(shape), atA: walker(broadcastStrides(aShape, shape)), atB: walker(broadcastStrides(bShape, shape)) };
}
