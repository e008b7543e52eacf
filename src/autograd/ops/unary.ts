import backwardSource from '../../../kernels/unary.backward.wgsl';
import forwardSource from '../../../kernels/unary.forward.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { affine } from './affine.ts';

/** Element-wise functions of one tensor: their number in the kernels and what their gradient is computed from. */
const functions = {
  exp: { operation: 0, saves: 'y' },
  log: { operation: 1, saves: 'x' },
  sqrt: { operation: 2, saves: 'y' },
  square: { operation: 3, saves: 'x' },
  abs: { operation: 4, saves: 'x' },
  sigmoid: { operation: 5, saves: 'y' },
  softplus: { operation: 6, saves: 'x' },
} as const;
export type UnaryFunction = keyof typeof functions;

const forwardKernel = defineKernel({
  label: 'unary.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1, OPERATION: 0 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['x', 'y'] },
});

const backwardKernel = defineKernel({
  label: 'unary.backward',
  source: backwardSource,
  inputs: ['saved', 'dy'],
  outputs: ['dx'],
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1, OPERATION: 0 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['saved', 'dy', 'dx'] },
});

function defineUnary(name: UnaryFunction): (x: Tensor) => Tensor {
  const { operation, saves } = functions[name];
  const constants = { OPERATION: operation };
  return defineOp(name, (x: Tensor): Tensor => {
    checkDType(x, name, 'x');
    const y = x.engine.empty(x.shape);
    runKernel(forwardKernel, { x, y }, { count: x.size }, constants);
    return record(y, name, [x], { kept: saves === 'x' ? x : y }, (dY, { kept }) => {
      const dX = dY.engine.empty(dY.shape);
      runKernel(backwardKernel, { saved: kept, dy: dY, dx: dX }, { count: dY.size }, constants);
      return [dX];
    });
  });
}

/** eˣ, element by element. Saves y. */
export const exp = defineUnary('exp');
/** Natural logarithm, element by element. Saves x. */
export const log = defineUnary('log');
/** √x, element by element. Saves y; the gradient at 0 is infinite. */
export const sqrt = defineUnary('sqrt');
/** x², element by element. Saves x. */
export const square = defineUnary('square');
/** |x|, element by element; gradient 0 at 0. Saves x. */
export const abs = defineUnary('abs');
/** 1/(1 + e⁻ˣ), element by element. Saves y. */
export const sigmoid = defineUnary('sigmoid');
/** max(x, 0) + ln(1 + e^−|x|), element by element: no overflow, small relative error at both ends. Saves x. */
export const softplus = defineUnary('softplus');
/** −x. Saves nothing. */
export const neg = defineOp('neg', (x: Tensor): Tensor => {
  checkDType(x, 'neg', 'x');
  return record(affine(x, -1, 0), 'neg', [x], {}, (dY) => [affine(dY, -1, 0)]);
});

/** Float64 reference of the functions. */
export const unaryReference: Record<UnaryFunction, (x: number) => number> = {
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  square: (x) => x * x,
  abs: Math.abs,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
};

/** Their derivatives. */
export const unaryDerivativeReference: Record<UnaryFunction, (x: number) => number> = {
  exp: Math.exp,
  log: (x) => 1 / x,
  sqrt: (x) => 0.5 / Math.sqrt(x),
  square: (x) => 2 * x,
  abs: Math.sign,
  sigmoid: (x) => unaryReference.sigmoid(x) * unaryReference.sigmoid(-x),
  softplus: unaryReference.sigmoid,
};
