import { check, type FloatType } from '../../engine/index.ts';
import { requireF16 } from '../require-f16.ts';
import { defineOp } from '../op.ts';
import { castView } from '../split.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * `x` in another type of numbers; `x` itself where it has that type. To f16 a value is rounded to one of its two neighbours, to the
 * nearer one on the adapters seen; beyond 65504 it becomes infinite. Gradient: dY in the type of `x`. Saves nothing.
 */
export const cast = defineOp('cast', (x: Tensor, dtype: FloatType): Tensor => {
  if (x.dtype === dtype) return x;
  return record(converted(x, dtype), 'cast', [x], {}, (dY) => [converted(dY, x.dtype as FloatType)]);
});

/** `x` in another type; `x` itself where it has it. No gradient: for the passes of other ops. */
export function converted(x: Tensor, dtype: FloatType): Tensor {
  const { engine } = x;
  const isNumber = x.dtype === 'f32' || x.dtype === 'f16';
  check(isNumber, engine.device.currentOp, () => `x must be f32 or f16, got ${x.dtype}`);
  if (x.dtype === dtype) return x;
  if (dtype === 'f16') requireF16(engine.device);
  const y = engine.empty(x.shape, dtype);
  castView(engine.device, x.view, y.view);
  return y;
}
