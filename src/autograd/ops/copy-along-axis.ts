import { bytesPerElement, sizeOf, type Shape } from '../../engine/index.ts';
import { copyRows } from '../block-copy.ts';
import type { Tensor } from '../tensor.ts';

/** Copies `extent` positions along `axis`, from position `xFirst` of `x` to position `yFirst` of `y`; types and other axes agree. */
export function copyAlongAxis(x: Tensor, y: Tensor, axis: number, extent: number, xFirst: number, yFirst: number): void {
  const rows = sizeOf(x.shape.slice(0, axis));
  const inner = bytesPerElement[x.dtype] * sizeOf(x.shape.slice(axis + 1));
  copyRows(
    x.engine.device,
    { buffer: x.view.buffer, offset: xFirst * inner, stride: x.shape[axis]! * inner },
    { buffer: y.view.buffer, offset: yFirst * inner, stride: y.shape[axis]! * inner },
    rows,
    extent * inner,
  );
}
/** Float64 twin of `copyAlongAxis`, for the references of slice and concat. */
export function copyAlongAxisReference(
  x: Float64Array,
  xShape: Shape,
  y: Float64Array,
  yShape: Shape,
  axis: number,
  extent: number,
  xFirst: number,
  yFirst: number,
): void {
  const rows = sizeOf(xShape.slice(0, axis));
  const inner = sizeOf(xShape.slice(axis + 1));
  for (let row = 0; row < rows; row++) {
    for (let position = 0; position < extent; position++) {
      for (let i = 0; i < inner; i++) {
        y[(row * yShape[axis]! + yFirst + position) * inner + i] = x[(row * xShape[axis]! + xFirst + position) * inner + i]!;
      }
    }
  }
}
