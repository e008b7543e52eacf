import { addInto } from './split.ts';
import type { Tensor } from './tensor.ts';

/**
 * Sum of two gradients. Adds `x` into `sum` where nobody else holds its memory, else into a copy; without a sum gives a further
 * handle on `x`.
 */
export function accumulate(sum: Tensor | null, x: Tensor): Tensor {
  const { engine } = x;
  if (!sum) return x.alias();
  const target = sum.isSoleHandle ? sum : engine.copyOf(sum);
  addInto(engine.device, x.view, target.view);
  if (target !== sum) sum.dispose();
  return target;
}
