/**
 * From a CT volume to the model's input (MODEL §1.5): resample to the grid's spacing, clip to [-1000, 1000] HU, divide by
 * 1000, crop or pad about the centre to the grid's shape with -1 (air).
 */
import { resampledShape, resampleWindow } from './resample.ts';
import type { ResampleOptions } from './resample.ts';
import type { CtVolume, InputGrid, Size3 } from './volume.ts';
import { HU_WINDOW, voxelCount } from './volume.ts';

export interface ModelInput {
  /** [D, Y, X] of the grid, flat, in [-1, 1]; -1 is air and padding. */
  values: Float32Array;
  shape: Size3;
  spacingMm: Size3;
  /** Size of the whole scan at the grid's spacing, before crop and padding. */
  resampledShape: Size3;
}

const HU_PER_UNIT = 1000;

/** Crop and padding as CT-CLIP's: both start at the floor of half the difference. */
export function preprocess(volume: CtVolume, grid: InputGrid, options: ResampleOptions = {}): ModelInput {
  const full = resampledShape(volume.shape, volume.spacingMm, grid.spacingMm);
  const start = full.map((size, axis) => Math.max(0, Math.floor((size - grid.shape[axis]!) / 2))) as Size3;
  const size = full.map((extent, axis) => Math.min(extent, grid.shape[axis]!)) as Size3;
  const before = grid.shape.map((extent, axis) => Math.floor((extent - size[axis]!) / 2)) as Size3;
  const hu = resampleWindow(volume, grid.spacingMm, { start, size }, options);

  const values = new Float32Array(voxelCount(grid.shape)).fill(-1);
  const [, height, width] = grid.shape;
  let from = 0;
  for (let d = 0; d < size[0]; d++) {
    for (let y = 0; y < size[1]; y++) {
      let to = ((d + before[0]) * height + y + before[1]) * width + before[2];
      for (let x = 0; x < size[2]; x++) {
        const value = hu[from++]!;
        values[to++] = (value < HU_WINDOW[0] ? HU_WINDOW[0] : value > HU_WINDOW[1] ? HU_WINDOW[1] : value) / HU_PER_UNIT;
      }
    }
  }
  return { values, shape: [...grid.shape], spacingMm: [...grid.spacingMm], resampledShape: full };
}

/** Model input values as int16 HU, for writing NIfTI and for compact caches. */
export function toHuInt16(values: Float32Array): Int16Array {
  return Int16Array.from(values, (value) => Math.round(value * HU_PER_UNIT));
}
