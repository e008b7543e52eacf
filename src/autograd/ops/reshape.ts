import { check, formatShape, sizeOf, type Shape } from '../../engine/index.ts';
import { defineOp } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/** The same memory with another shape of the same size; one extent may be -1 and follows from the others. Saves nothing. */
export const reshape = defineOp('reshape', (x: Tensor, shape: Shape): Tensor => {
  const resolved = resolveShape(x.shape, shape);
  return record(x.alias(resolved), 'reshape', [x], {}, (dY) => [dY.alias(x.shape)]);
});

function resolveShape(from: Shape, shape: Shape): Shape {
  const size = sizeOf(from);
  const open = shape.indexOf(-1);
  const known = sizeOf(shape.filter((_, axis) => axis !== open));
  const resolved = open < 0 ? shape : shape.map((extent, axis) => (axis === open ? size / known : extent));
  const fits = resolved.every((extent) => Number.isInteger(extent) && extent >= 1) && sizeOf(resolved) === size;
  check(fits, 'reshape', () => `${formatShape(from)} (${size} values) does not fit ${formatShape(shape)}`);
  return resolved;
}
