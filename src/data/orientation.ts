/**
 * From a NIfTI affine to the house orientation [D, Y, X] = [Superior, Posterior, Left], by permutation and flips only: no
 * voxel is interpolated, so that HU stay what the scanner gave.
 */
import type { Size3 } from './volume.ts';

/** Rows are world x (Right), y (Anterior), z (Superior) in mm; columns the file's axes i, j, k. */
export type Matrix3 = [Size3, Size3, Size3];

export interface AxisPlan {
  /** For each of D, Y, X: the file axis (0 = i, 1 = j, 2 = k) that runs along it. */
  fileAxis: Size3;
  /** For each of D, Y, X: whether the file runs the other way. */
  flipped: [boolean, boolean, boolean];
  /** For each of D, Y, X: mm between voxel centres. */
  spacingMm: Size3;
  /** Largest angle between a file axis and the anatomical axis it was taken for. */
  obliqueDegrees: number;
  /** The file's own axes as letters, i first: 'LPS', 'RAS', … */
  code: string;
}

/** World axis and sense of D, Y, X in NIfTI's RAS+ frame. */
const HOUSE_AXES = [
  { world: 2, sign: 1 },
  { world: 1, sign: -1 },
  { world: 0, sign: -1 },
] as const;
const POSITIVE_LETTERS = 'RAS';
const NEGATIVE_LETTERS = 'LPI';
const PERMUTATIONS: Size3[] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/**
 * @param affine 3×3 part of the voxel-to-RAS-mm matrix.
 * @throws `where: …` where a column is zero or not finite: the axis has no direction.
 */
export function planAxes(affine: Matrix3, where: string): AxisPlan {
  const lengths = [0, 1, 2].map((axis) => Math.hypot(affine[0][axis]!, affine[1][axis]!, affine[2][axis]!)) as Size3;
  if (!lengths.every((length) => Number.isFinite(length) && length > 0)) {
    throw new Error(
      `${where}: spacing must be positive, the affine gives [${lengths.join(', ')}] mm; re-export the scan with its geometry`,
    );
  }
  const cosine = (world: number, axis: number): number => affine[world]![axis]! / lengths[axis]!;
  // One file axis for each world axis: the assignment that is nearest as a whole, so that no axis is taken twice.
  let best = PERMUTATIONS[0]!;
  let bestScore = -1;
  for (const permutation of PERMUTATIONS) {
    const score = permutation.reduce((sum, axis, world) => sum + Math.abs(cosine(world, axis)), 0);
    if (score > bestScore + 1e-9) [best, bestScore] = [permutation, score];
  }
  const letters = ['', '', ''];
  best.forEach((axis, world) => {
    letters[axis] = (cosine(world, axis) >= 0 ? POSITIVE_LETTERS : NEGATIVE_LETTERS)[world]!;
  });
  const smallest = Math.min(...best.map((axis, world) => Math.abs(cosine(world, axis))));
  return {
    fileAxis: HOUSE_AXES.map(({ world }) => best[world]!) as Size3,
    flipped: HOUSE_AXES.map(({ world, sign }) => Math.sign(cosine(world, best[world]!) || 1) !== sign) as AxisPlan['flipped'],
    spacingMm: HOUSE_AXES.map(({ world }) => lengths[best[world]!]!) as Size3,
    obliqueDegrees: (Math.acos(Math.min(1, smallest)) * 180) / Math.PI,
    code: letters.join(''),
  };
}

/** Sizes along D, Y, X of a file whose sizes along i, j, k are given. */
export function orientedShape(plan: AxisPlan, fileShape: Size3): Size3 {
  return plan.fileAxis.map((axis) => fileShape[axis]) as Size3;
}

/**
 * Copies a file's voxels (i fastest) into [D, Y, X] order (X fastest) as value·slope + intercept.
 */
export function orient(
  data: ArrayLike<number>,
  fileShape: Size3,
  plan: AxisPlan,
  slope: number,
  intercept: number,
): Float32Array {
  const fileStride: Size3 = [1, fileShape[0], fileShape[0] * fileShape[1]];
  const [depth, height, width] = orientedShape(plan, fileShape);
  const step = plan.fileAxis.map((axis, i) => (plan.flipped[i] ? -fileStride[axis]! : fileStride[axis]!)) as Size3;
  const start = plan.fileAxis.reduce(
    (sum, axis, i) => sum + (plan.flipped[i] ? (fileShape[axis]! - 1) * fileStride[axis]! : 0),
    0,
  );
  const out = new Float32Array(depth * height * width);
  const stepX = step[2];
  let o = 0;
  for (let d = 0; d < depth; d++) {
    for (let y = 0; y < height; y++) {
      let at = start + d * step[0] + y * step[1];
      for (let x = 0; x < width; x++, at += stepX) out[o++] = data[at]! * slope + intercept;
    }
  }
  return out;
}

/** Where a file's voxels (i, j, k) go in [D, Y, X] order: index = start + i·step[0] + j·step[1] + k·step[2]. */
export interface Placement {
  start: number;
  step: Size3;
}

/** For a file that comes slice by slice; `orient` is for one that is there as a whole. */
export function placement(plan: AxisPlan, fileShape: Size3): Placement {
  const [, height, width] = orientedShape(plan, fileShape);
  const stride: Size3 = [height * width, width, 1];
  const step: Size3 = [0, 0, 0];
  let start = 0;
  plan.fileAxis.forEach((axis, house) => {
    step[axis] = plan.flipped[house] ? -stride[house]! : stride[house]!;
    if (plan.flipped[house]) start += (fileShape[axis]! - 1) * stride[house]!;
  });
  return { start, step };
}
