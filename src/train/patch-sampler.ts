/** Patches of a scan: boxes of a model's input size, cut at seeded places within the body. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { HU_WINDOW, outsideBody, resampleTrilinear, voxelCount, type CtVolume, type InputGrid, type Size3 } from '../data/index.ts';
import { seededRandom } from './sampler.ts';

/** A patch is kept where at least this share of it is body, lungs included: the model is not asked about air around the patient [O]. */
export const LEAST_BODY = 0.5;
/** Two patches of a scan share at most this part of their voxels, so that none is counted nearly twice [O]. */
export const MOST_SHARED = 0.5;
const TRIES_A_PATCH = 200;
/** The body is looked for on a coarser grid. */
const BODY_STEP_MM = 4;
const HU_PER_UNIT = 1000;

export interface Patch {
  /** First voxel in the resampled scan, [D, Y, X]. */
  start: Size3;
  /** [D·Y·X] in [−1, 1]: model input. */
  values: Float32Array<ArrayBuffer>;
}

export interface CutPatchesOptions {
  grid: InputGrid;
  /** Patches wanted; fewer come where the body has no room for more. */
  count: number;
  seed: number;
  /** Names the scan's stream of random numbers, so that it does not depend on the other scans. */
  stream: string;
}

/**
 * Resamples a scan (averaged where the grid is over twice as coarse) and cuts patches. A scan that is smaller than a patch along an axis
 * lies in its middle, in air.
 *
 * @throws Error where no place within the body can be found
 */
export function cutPatches(volume: CtVolume, { grid, count, seed, stream }: CutPatchesOptions): Patch[] {
  const scan = resampleTrilinear(volume, grid.spacingMm, { antialias: true });
  const bodyShare = bodyShareOf(scan, grid.shape);
  const random = seededRandom(seed, 'patches', stream);
  const patches: Patch[] = [];
  for (let tries = 0; patches.length < count && tries < TRIES_A_PATCH * count; tries++) {
    const start = grid.shape.map((size, axis) => {
      const room = scan.shape[axis]! - size;
      return room > 0 ? uniformInt(random, 0, room) : Math.ceil(room / 2);
    }) as Size3;
    if (bodyShare(start) < LEAST_BODY || patches.some((other) => sharedPart(start, other.start, grid.shape) > MOST_SHARED)) continue;
    patches.push({ start, values: cut(scan, start, grid.shape) });
  }
  if (!patches.length) throw new Error(`cutPatches: ${volume.source}: no box of [${grid.shape.join(', ')}] voxels at [${grid.spacingMm.join(', ')}] mm is at least half body; is it a scan of a person? Leave it out, or give a finer spacing`);
  return patches;
}

/** Part of their voxels that two boxes of one size share. */
export function sharedPart(a: Size3, b: Size3, shape: Size3): number {
  return shape.reduce((part, size, axis) => part * Math.max(0, 1 - Math.abs(a[axis]! - b[axis]!) / size), 1);
}

function cut({ hu, shape }: CtVolume, start: Size3, size: Size3): Float32Array<ArrayBuffer> {
  const values = new Float32Array(voxelCount(size)).fill(-1);
  const low = start.map((first) => Math.max(0, -first));
  const high = size.map((extent, axis) => Math.min(extent, shape[axis]! - start[axis]!));
  for (let d = low[0]!; d < high[0]!; d++) {
    for (let y = low[1]!; y < high[1]!; y++) {
      const from = ((start[0] + d) * shape[1] + start[1] + y) * shape[2] + start[2];
      const to = (d * size[1] + y) * size[2];
      for (let x = low[2]!; x < high[2]!; x++) values[to + x] = Math.min(HU_WINDOW[1], Math.max(HU_WINDOW[0], hu[from + x]!)) / HU_PER_UNIT;
    }
  }
  return values;
}

/** Share of a box at `start` that is body, from a coarse look at the whole scan. */
function bodyShareOf({ hu, shape, spacingMm }: CtVolume, size: Size3): (start: Size3) => number {
  const step = spacingMm.map((spacing) => Math.max(1, Math.round(BODY_STEP_MM / spacing))) as Size3;
  const [planes, rows, columns] = shape.map((extent, axis) => Math.ceil(extent / step[axis]!)) as Size3;
  const body = new Uint8Array(planes * rows * columns);
  for (let p = 0; p < planes; p++) {
    const slice = new Float32Array(rows * columns);
    for (let r = 0; r < rows; r++) {
      const row = (p * step[0] * shape[1] + r * step[1]) * shape[2];
      for (let c = 0; c < columns; c++) slice[r * columns + c] = hu[row + c * step[2]]!;
    }
    outsideBody(slice, rows, columns).forEach((outside, at) => (body[p * rows * columns + at] = 1 - outside));
  }
  return (start) => {
    const [p, r, c] = [0, 1, 2].map((axis) => {
      const first = Math.max(0, Math.ceil(start[axis]! / step[axis]!));
      return [first, Math.min([planes, rows, columns][axis]!, Math.ceil((start[axis]! + size[axis]!) / step[axis]!))];
    }) as [number[], number[], number[]];
    let inside = 0;
    for (let plane = p[0]!; plane < p[1]!; plane++) {
      for (let row = r[0]!; row < r[1]!; row++) {
        for (let column = c[0]!; column < c[1]!; column++) inside += body[(plane * rows + row) * columns + column]!;
      }
    }
    // Of the whole box: what reaches beyond the scan is air.
    return (inside * step[0] * step[1] * step[2]) / voxelCount(size);
  };
}
