import source from '../../../kernels/block-copy.wgsl';
import { defineKernel, sizeOf, type Shape } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

const blockCopyKernel = defineKernel({
  label: 'block-copy',
  source,
  inputs: ['x'],
  outputs: ['y'],
  params: { rows: 'u32', columns: 'u32', x_columns: 'u32', x_first: 'u32', y_columns: 'u32', y_first: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((rows! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'rows', bindings: ['x', 'y'] },
});

/** Copies `extent` positions along `axis`, from position `xFirst` of `x` to position `yFirst` of `y`; other axes agree. */
export function copyAlongAxis(x: Tensor, y: Tensor, axis: number, extent: number, xFirst: number, yFirst: number): void {
  const rows = sizeOf(x.shape.slice(0, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  runKernel(
    blockCopyKernel,
    { x, y },
    { rows, columns: extent * inner, x_columns: x.shape[axis]! * inner, x_first: xFirst * inner, y_columns: y.shape[axis]! * inner, y_first: yFirst * inner },
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
