import { check, EngineError, formatShape, type FloatType, type Kernel, type Params, type Shape } from '../engine/index.ts';
import type { Engine } from './engine.ts';
import { runPieces } from './split.ts';
import { Tensor } from './tensor.ts';

/**
 * Gives an op its name: while `body` runs, GPU labels and errors carry it, and every tensor it makes but does not return is
 * disposed (the tape keeps what was saved). The engine is that of the first tensor among the arguments.
 */
export function defineOp<Args extends unknown[], R>(name: string, body: (...args: Args) => R): (...args: Args) => R {
  return (...args) => engineOf(args, name).inOp(name, () => body(...args));
}

function engineOf(args: readonly unknown[], op: string): Engine {
  for (const arg of args) {
    if (arg instanceof Tensor) return arg.engine;
    if (Array.isArray(arg)) {
      const tensor = arg.find((item) => item instanceof Tensor);
      if (tensor) return (tensor as Tensor).engine;
    }
  }
  throw new EngineError(op, 'takes a tensor');
}

/** Runs a kernel on tensors of any size: `runPieces` with tensors for views. All tensors are of one engine. */
export function runKernel(kernel: Kernel, tensors: Record<string, Tensor>, params: Params = {}, constants?: Record<string, number>): void {
  const [first] = Object.values(tensors);
  const { device } = first!.engine;
  const views: Record<string, Tensor['view']> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    check(tensor.engine === first!.engine, device.currentOp, () => `"${name}" belongs to another engine`);
    views[name] = tensor.view;
  }
  runPieces(device, kernel, views, params, constants);
}

/** Throws `op: name must be [expected], got [shape]` unless the shape fits; `null` in `expected` takes any extent. */
export function checkTensor(tensor: Tensor, op: string, name: string, expected: readonly (number | null)[]): void {
  const fits = tensor.shape.length === expected.length && expected.every((extent, axis) => extent === null || extent === tensor.shape[axis]);
  check(fits, op, () => `${name} must be ${formatShape(expected.map((extent) => extent ?? '*') as unknown as Shape)}, got ${formatShape(tensor.shape)}`);
}

/** Throws unless the tensor has the dtype an op computes in. */
export function checkDType(tensor: Tensor, op: string, name: string, dtype: Tensor['dtype'] = 'f32'): void {
  const remedy = tensor.dtype === 'f16' && dtype === 'f32' ? "; convert it first: ops.cast(x, 'f32')" : '';
  check(tensor.dtype === dtype, op, () => `${name} must be ${dtype}, got ${tensor.dtype}${remedy}`);
}

/** For ops that take f16 too: throws unless the tensor is of numbers, and gives its type. */
export function floatType(tensor: Tensor, op: string, name: string): FloatType {
  const { dtype } = tensor;
  if (dtype === 'f32' || dtype === 'f16') return dtype;
  throw new EngineError(op, `${name} must be f32 or f16, got ${dtype}`);
}
