import { check, formatShape, normalizeAxis, sizeOf, type Shape } from '../../engine/index.ts';
import { defineOp, floatType } from '../op.ts';
import { record } from '../tape.ts';
import { Tensor } from '../tensor.ts';
import { copyAlongAxis, copyAlongAxisReference } from './copy-along-axis.ts';

const bytesPerWord = 4;

export interface SliceOptions {
  dim: number;
  /** First position, default 0. Negative ones count from the end. */
  start?: number;
  /** One past the last position, default the extent. Negative ones count from the end. */
  end?: number;
}

/**
 * Positions `start` to `end` (exclusive) of `x` along `dim`, as a copy. Gradient: dY in place, zeros elsewhere. Saves nothing. Of u8 not along the
 * last axis, whose extent must be a multiple of 4.
 */
export const slice = defineOp('slice', (x: Tensor, { dim, start = 0, end }: SliceOptions): Tensor => {
  const axis = normalizeAxis(dim, x.rank, 'slice');
  const inWords = x.dtype === 'u8' && axis < x.rank - 1 && x.shape.at(-1)! % bytesPerWord === 0;
  check(x.dtype !== 'u8' || inWords, 'slice', () => `x must be f32, f16, u32, or u8 in rows of whole words cut along another axis, got ${x.dtype} ${formatShape(x.shape)} cut along axis ${axis}`);
  const extent = x.shape[axis]!;
  const first = start < 0 ? start + extent : start;
  const last = end === undefined ? extent : end < 0 ? end + extent : end;
  const fits = Number.isInteger(first) && Number.isInteger(last) && first >= 0 && first < last && last <= extent;
  check(fits, 'slice', () => `start and end must enclose a part of axis ${axis} of extent ${extent}, got ${start} to ${end ?? extent}`);
  if (last - first === extent) return record(x.alias(), 'slice', [x], {}, (dY) => [dY]);
  const y = inWords ? asBytes(sliceOf(asWords(x), axis, first, last)) : sliceOf(x, axis, first, last);
  return record(y, 'slice', [x], {}, (dY) => {
    const dX = x.engine.zeros(x.shape, { dtype: floatType(dY, 'slice', 'dY') });
    copyAlongAxis(dY, dX, axis, last - first, 0, first);
    return [dX];
  });
});

/** Bytes seen as words, four of a row each, and back. */
function asWords(x: Tensor): Tensor {
  return new Tensor(x.engine, [...x.shape.slice(0, -1), x.shape.at(-1)! / bytesPerWord], 'u32', x);
}

function asBytes(x: Tensor): Tensor {
  return new Tensor(x.engine, [...x.shape.slice(0, -1), x.shape.at(-1)! * bytesPerWord], 'u8', x);
}

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
