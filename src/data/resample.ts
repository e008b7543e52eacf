/**
 * Trilinear resampling of a CT volume to another spacing, exactly as
 * torch.nn.functional.interpolate(mode='trilinear', align_corners=False) to size floor(n·spacing/target) (MODEL §1.5).
 *
 * Trilinear interpolation is separable: a filter of a few taps an axis. Each source slice is filtered in X and Y once, when a
 * target slice first needs it, and dropped after its last use; memory stays at a few slices beside source and result.
 */
import type { CtVolume, Size3 } from './volume.ts';
import { voxelCount } from './volume.ts';

export interface ResampleOptions {
  /**
   * [O] Averages over the target voxel along each axis whose target spacing is over twice the source's, where two taps would
   * skip voxels and alias. CT-CLIP does not; used for the coarse presets.
   */
  antialias?: boolean;
}

/** For target index t: source indices first[t] .. first[t] + taps[t] - 1 with weights from t·maxTaps on. */
interface AxisFilter {
  first: Int32Array;
  taps: Int32Array;
  weights: Float32Array;
  maxTaps: number;
}

/** A part of the resampled volume: where it starts and how large it is, in target voxels. */
export interface ResampleWindow {
  start: Size3;
  size: Size3;
}

/** Spacings are stored in float32, so that 512 × 0.7 / 0.7 may come out a hair under 512 and lose a slice to floor. */
const FLOOR_TOLERANCE = 1e-4;
const ANTIALIAS_FROM_RATIO = 2;

/** Target size along each axis: floor(n·spacing/target), at least 1. */
export function resampledShape(shape: Size3, spacingMm: Size3, targetSpacingMm: Size3): Size3 {
  return shape.map((size, axis) =>
    Math.max(1, Math.floor((size * spacingMm[axis]!) / targetSpacingMm[axis]! + FLOOR_TOLERANCE)),
  ) as Size3;
}

/**
 * The volume at another spacing; values in HU, not clipped. Its spacingMm is the one asked for, as CT-CLIP takes it (the
 * true one differs by less than one voxel over the whole axis).
 */
export function resampleTrilinear(volume: CtVolume, targetSpacingMm: Size3, options: ResampleOptions = {}): CtVolume {
  const shape = resampledShape(volume.shape, volume.spacingMm, targetSpacingMm);
  const hu = resampleWindow(volume, targetSpacingMm, { start: [0, 0, 0], size: shape }, options);
  return { ...volume, hu, shape, spacingMm: [...targetSpacingMm] };
}

/** The voxels of one window of the resampled volume, [D, Y, X] flat: what a later crop would keep, at its cost only. */
export function resampleWindow(
  volume: CtVolume,
  targetSpacingMm: Size3,
  window: ResampleWindow,
  options: ResampleOptions = {},
): Float32Array {
  checkWindow(volume, targetSpacingMm, window);
  const full = resampledShape(volume.shape, volume.spacingMm, targetSpacingMm);
  const [filterD, filterY, filterX] = ([0, 1, 2] as const).map((axis) => {
    const ratio = targetSpacingMm[axis] / volume.spacingMm[axis];
    const average = options.antialias === true && ratio > ANTIALIAS_FROM_RATIO;
    const make = average ? averagingFilter : linearFilter;
    return make(volume.shape[axis], full[axis], window.start[axis], window.size[axis]);
  }) as [AxisFilter, AxisFilter, AxisFilter];

  const [depth, height, width] = window.size;
  const slices = new SliceCache(volume, filterY, filterX, height, width);
  const out = new Float32Array(voxelCount(window.size));
  for (let d = 0; d < depth; d++) {
    const target = out.subarray(d * height * width, (d + 1) * height * width);
    const first = filterD.first[d]!;
    slices.forget(first);
    for (let tap = 0; tap < filterD.taps[d]!; tap++) {
      addScaled(target, slices.get(first + tap), filterD.weights[d * filterD.maxTaps + tap]!);
    }
  }
  return out;
}

function checkWindow(volume: CtVolume, target: Size3, window: ResampleWindow): void {
  if (!target.every((size) => Number.isFinite(size) && size > 0)) {
    throw new Error(`resampleTrilinear: ${volume.source}: target spacing must be positive, got [${target.join(', ')}] mm`);
  }
  const full = resampledShape(volume.shape, volume.spacingMm, target);
  const fits = full.every((size, axis) => window.start[axis]! >= 0 && window.size[axis]! >= 1 && window.start[axis]! + window.size[axis]! <= size);
  if (!fits) {
    throw new Error(
      `resampleTrilinear: ${volume.source}: window [${window.start.join(', ')}] + [${window.size.join(', ')}] must lie within [${full.join(', ')}]`,
    );
  }
}

/** Torch's rule for align_corners = false: source = max(0, (t + ½)·in/out - ½), right neighbour clamped to the last voxel. */
function linearFilter(from: number, to: number, start: number, size: number): AxisFilter {
  const first = new Int32Array(size);
  const taps = new Int32Array(size);
  const weights = new Float32Array(2 * size);
  const scale = from / to;
  for (let i = 0; i < size; i++) {
    const source = Math.max(0, (start + i + 0.5) * scale - 0.5);
    const left = Math.min(Math.floor(source), from - 1);
    const right = source - left;
    const single = left === from - 1 || right === 0;
    first[i] = left;
    taps[i] = single ? 1 : 2;
    weights[2 * i] = single ? 1 : 1 - right;
    weights[2 * i + 1] = single ? 0 : right;
  }
  return { first, taps, weights, maxTaps: 2 };
}

/** Mean over the target voxel's extent [t·in/out, (t+1)·in/out), voxels at its rim by the part that lies within. */
function averagingFilter(from: number, to: number, start: number, size: number): AxisFilter {
  const scale = from / to;
  const maxTaps = Math.ceil(scale) + 1;
  const first = new Int32Array(size);
  const taps = new Int32Array(size);
  const weights = new Float32Array(maxTaps * size);
  for (let i = 0; i < size; i++) {
    const begin = (start + i) * scale;
    const end = Math.min(from, (start + i + 1) * scale);
    first[i] = Math.min(from - 1, Math.floor(begin));
    const last = Math.max(first[i]!, Math.min(from - 1, Math.ceil(end) - 1));
    taps[i] = last - first[i]! + 1;
    for (let tap = 0; tap < taps[i]!; tap++) {
      const voxel = first[i]! + tap;
      weights[i * maxTaps + tap] = (Math.min(end, voxel + 1) - Math.max(begin, voxel)) / (end - begin);
    }
  }
  return { first, taps, weights, maxTaps };
}

/** Source slices filtered in X and Y, kept while a target slice may still need them. */
class SliceCache {
  private readonly ready = new Map<number, Float32Array>();
  private readonly spare: Float32Array[] = [];
  private readonly rows: Float32Array;
  private readonly rowOf: Int32Array;
  private readonly volume: CtVolume;
  private readonly filterY: AxisFilter;
  private readonly filterX: AxisFilter;
  private readonly height: number;
  private readonly width: number;

  constructor(volume: CtVolume, filterY: AxisFilter, filterX: AxisFilter, height: number, width: number) {
    this.volume = volume;
    this.filterY = filterY;
    this.filterX = filterX;
    this.height = height;
    this.width = width;
    // Rows that no target row reads are not filtered in X at all.
    this.rowOf = new Int32Array(volume.shape[1]).fill(-1);
    let used = 0;
    for (let y = 0; y < height; y++) {
      for (let tap = 0; tap < filterY.taps[y]!; tap++) {
        const row = filterY.first[y]! + tap;
        if (this.rowOf[row] === -1) this.rowOf[row] = used++;
      }
    }
    this.rows = new Float32Array(used * width);
  }

  forget(before: number): void {
    for (const [index, slice] of this.ready) {
      if (index >= before) continue;
      this.ready.delete(index);
      this.spare.push(slice);
    }
  }

  get(index: number): Float32Array {
    const known = this.ready.get(index);
    if (known) return known;
    const slice = this.spare.pop() ?? new Float32Array(this.height * this.width);
    slice.fill(0);
    this.filterRows(index);
    this.filterColumns(slice);
    this.ready.set(index, slice);
    return slice;
  }

  private filterRows(index: number): void {
    const [, sourceHeight, sourceWidth] = this.volume.shape;
    const { hu } = this.volume;
    const { first, taps, weights, maxTaps } = this.filterX;
    for (let row = 0; row < sourceHeight; row++) {
      if (this.rowOf[row]! < 0) continue;
      const source = (index * sourceHeight + row) * sourceWidth;
      const target = this.rowOf[row]! * this.width;
      for (let x = 0; x < this.width; x++) {
        const from = source + first[x]!;
        let sum = 0;
        for (let tap = 0; tap < taps[x]!; tap++) sum += weights[x * maxTaps + tap]! * hu[from + tap]!;
        this.rows[target + x] = sum;
      }
    }
  }

  private filterColumns(slice: Float32Array): void {
    const { first, taps, weights, maxTaps } = this.filterY;
    for (let y = 0; y < this.height; y++) {
      const target = slice.subarray(y * this.width, (y + 1) * this.width);
      for (let tap = 0; tap < taps[y]!; tap++) {
        const row = this.rowOf[first[y]! + tap]! * this.width;
        addScaled(target, this.rows.subarray(row, row + this.width), weights[y * maxTaps + tap]!);
      }
    }
  }
}

function addScaled(target: Float32Array, source: Float32Array, weight: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += weight * source[i]!;
}
