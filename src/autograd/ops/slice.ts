import { check, normalizeAxis, sizeOf, type Shape } from '../../engine/index.ts';
import { defineOp, floatType } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { copyAlongAxis, copyAlongAxisReference } from './copy-along-axis.ts';

export interface SliceOptions {
  dim: number;
  /** First position, default 0. Negative ones count from the end. */
  start?: number;
  /** One past the last position, default the extent. Negative ones count from the end. */
  end?: number;
}

/** Positions `start` to `end` (exclusive) of `x` along `dim`, as a copy. Gradient: dY in place, zeros elsewhere. Saves nothing. */
export const slice = defineOp('slice', (x: Tensor, { dim, start = 0, end }: SliceOptions): Tensor => {
  check(x.dtype !== 'u8', 'slice', () => `x must be f32, f16 or u32, got ${x.dtype}`);
  const axis = normalizeAxis(dim, x.rank, 'slice');
  const extent = x.shape[axis]!;
  const first = start < 0 ? start + extent : start;
  const last = end === undefined ? extent : end < 0 ? end + extent : end;
  const fits = Number.isInteger(first) && Number.isInteger(last) && first >= 0 && first < last && last <= extent;
  check(fits, 'slice', () => `start and end must enclose a part of axis ${axis} of extent ${extent}, got ${start} to ${end ?? extent}`);
  if (last - first === extent) return record(x.alias(), 'slice', [x], {}, (dY) => [dY]);
  const y = sliceOf(x, axis, first, last);
  return record(y, 'slice', [x], {}, (dY) => {
    const dX = x.engine.zeros(x.shape, { dtype: floatType(dY, 'slice', 'dY') });
    copyAlongAxis(dY, dX, axis, last - first, 0, first);
    return [dX];
  });
});

/** Positions `first` to `last` along `axis`, without checks and gradient. */
export function sliceOf(x: Tensor, axis: number, first: number, last: number): Tensor {
  const y = x.engine.empty(x.shape.map((extent, k) => (k === axis ? last - first : extent)), x.dtype);
  copyAlongAxis(x, y, axis, last - first, first, 0);
  return y;
}

/** Reference of `slice` with `axis`, `first` and `last` in range. */
export function sliceReference(x: Float64Array, shape: Shape, axis: number, first: number, last: number): Float64Array {
  const target = shape.map((extent, k) => (k === axis ? last - first : extent));
  const y = new Float64Array(sizeOf(target));
  copyAlongAxisReference(x, shape, y, target, axis, last - first, first, 0);
  return y;
}

/** Gradient of `sliceReference` with respect to x. */
export function sliceBackwardReference(shape: Shape, axis: number, first: number, last: number, dY: Float64Array): Float64Array {
  const dX = new Float64Array(sizeOf(shape));
  copyAlongAxisReference(dY, shape.map((extent, k) => (k === axis ? last - first : extent)), dX, shape, axis, last - first, 0, first);
  return dX;
}
