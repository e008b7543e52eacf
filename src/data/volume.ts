/**
 * The volume that every reader makes and every later step takes.
 *
 * Axes are [D, Y, X] everywhere: D towards Superior, Y towards Posterior, X towards the patient's Left. In an axial slice
 * anterior is on top and the patient's left at the image's right, as a radiologist reads it.
 * [O] CT-CLIP's (D,H,W) has Y and X exchanged; its adapter transposes.
 */
export type Size3 = [number, number, number];

export interface CtVolume {
  /** Hounsfield units, [D, Y, X] flat, X fastest. */
  hu: Float32Array;
  shape: Size3;
  /** Distance between voxel centres along D, Y, X in mm. */
  spacingMm: Size3;
  /** What a careful reader of the file would want to know; the volume is usable all the same. */
  warnings: string[];
  /** Where the volume came from, as the user would name it (a file name). */
  source: string;
}

/** The regular grid that a model reads: MODEL §5's input sizes over a 360 mm cube, or a part of it. */
export interface InputGrid {
  shape: Size3;
  spacingMm: Size3;
}

/** The HU window of the model input (MODEL §1.5): clip(HU, -1000, 1000) / 1000. */
export const HU_WINDOW: readonly [number, number] = [-1000, 1000];

/** Number of voxels of a [D, Y, X] shape. */
export function voxelCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Model input value to Hounsfield units. */
export function valueToHu(value: number): number {
  return value * 1000;
}

/** Grey level 0..255 of a JPEG slice to the model input value in [-1, 1]. */
export function greyToValue(grey: number): number {
  return grey / 127.5 - 1;
}

/** `greyToValue` of every level, in f32. */
export const GREY_VALUES = Float32Array.from({ length: 256 }, (_, level) => greyToValue(level));

/** Model input value to the nearest grey level 0..255, clipped: (HU + 1000)·255/2000 (MODEL §4, JPEG [O]). */
export function valueToGrey(value: number): number {
  const grey = Math.round((value + 1) * 127.5);
  return grey < 0 ? 0 : grey > 255 ? 255 : grey;
}
