import { check, normalizeAxis, sizeOf, type Shape } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { copyAlongAxis, copyAlongAxisReference } from './copy-along-axis.ts';
import { sliceOf } from './slice.ts';

export interface ConcatOptions {
  /** Axis along which the tensors follow each other; they agree in all others. */
  dim: number;
}

/** The tensors one after another along `dim`. Gradient: each tensor's part of dY. Saves nothing. */
export const concat = defineOp('concat', (tensors: readonly Tensor[], { dim }: ConcatOptions): Tensor => {
  const [first] = tensors as [Tensor, ...Tensor[]];
  const { engine, rank, dtype } = first;
  check(dtype !== 'u8', 'concat', () => `tensors must be f32, f16 or u32, got ${dtype}`);
  const axis = normalizeAxis(dim, rank, 'concat');
  tensors.forEach((tensor, index) => {
    checkDType(tensor, 'concat', `tensor ${index}`, dtype);
    checkTensor(tensor, 'concat', `tensor ${index}`, first.shape.map((extent, k) => (k === axis ? null : extent)));
  });
  const starts = startsAlong(tensors.map((tensor) => tensor.shape[axis]!));
  const y = engine.empty(first.shape.map((extent, k) => (k === axis ? starts.at(-1)! : extent)), dtype);
  tensors.forEach((tensor, index) => copyAlongAxis(tensor, y, axis, tensor.shape[axis]!, 0, starts[index]!));
  return record(y, 'concat', tensors, {}, (dY, _, needs) => needs.map((need, index) => (need ? sliceOf(dY, axis, starts[index]!, starts[index + 1]!) : null)));
});

/** Where each extent starts, and at the end their sum. */
function startsAlong(extents: readonly number[]): number[] {
  const starts = [0];
  for (const extent of extents) starts.push(starts.at(-1)! + extent);
  return starts;
}

/** Reference of `concat`. Its gradients are slices of dY. */
export function concatReference(parts: readonly Float64Array[], shapes: readonly Shape[], axis: number): Float64Array {
  const starts = startsAlong(shapes.map((shape) => shape[axis]!));
  const target = shapes[0]!.map((extent, k) => (k === axis ? starts.at(-1)! : extent));
  const y = new Float64Array(sizeOf(target));
  parts.forEach((part, index) => copyAlongAxisReference(part, shapes[index]!, y, target, axis, shapes[index]![axis]!, 0, starts[index]!));
  return y;
}
