/** Where the model's grid lies in a scan, so that pictures on both can be laid over each other. */
import { resampledShape } from '../src/data/index.ts';
import type { CtVolume, InputGrid, Size3 } from '../src/data/index.ts';

/**
 * World position (R, A, S in mm) of the first voxel of a grid, with the scan's own first voxel at 0. The grid is cropped and padded
 * about the centre as `preprocess` does; `cells` is a coarser grid over the same field of view, as the token grid is.
 */
export function gridOriginMm({ shape, spacingMm }: Pick<CtVolume, 'shape' | 'spacingMm'>, grid: InputGrid, cells: Size3 = grid.shape): Size3 {
  const full = resampledShape(shape, spacingMm, grid.spacingMm);
  const [z, y, x] = grid.shape.map((extent, axis) => {
    const cropped = Math.max(0, Math.floor((full[axis]! - extent) / 2));
    const padded = Math.floor((extent - Math.min(full[axis]!, extent)) / 2);
    const corner = (cropped - padded) * grid.spacingMm[axis]!;
    const cell = (extent * grid.spacingMm[axis]!) / cells[axis]!;
    return corner + cell / 2 - spacingMm[axis]! / 2;
  }) as Size3;
  // The scan's axes run to Superior, Posterior and Left; the world's to Right, Anterior and Superior.
  return [-x, -y, z];
}
