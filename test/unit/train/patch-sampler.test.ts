import { describe, expect, it } from 'vitest';
import type { CtVolume, InputGrid, Size3 } from '../../../src/data/index.ts';
import { cutPatches, LEAST_BODY, MOST_SHARED, sharedPart } from '../../../src/train/patch-sampler.ts';

const grid: InputGrid = { shape: [4, 8, 8], spacingMm: [4, 4, 4] };

/** A block of tissue about the middle of air; each voxel of it tells its place. `margin` voxels of air on every side in the slice. */
function scan(shape: Size3, margin: number): CtVolume {
  const [depth, height, width] = shape;
  const hu = new Float32Array(depth * height * width).fill(-1000);
  for (let d = 0; d < depth; d++) {
    for (let y = margin; y < height - margin; y++) for (let x = margin; x < width - margin; x++) hu[(d * height + y) * width + x] = d * 100 + y + x / 100;
  }
  return { hu, shape, spacingMm: [4, 4, 4], warnings: [], source: 'block.nii' };
}

const options = { grid, count: 12, seed: 3, stream: 'block' };

describe('cutPatches', () => {
  const volume = scan([12, 40, 40], 6);
  const patches = cutPatches(volume, options);

  it('cuts what lies at the place, as model input', () => {
    expect(patches).toHaveLength(12);
    for (const { start, values } of patches) {
      const [d, y, x] = [3, 2, 5];
      const hu = volume.hu[((start[0] + d) * 40 + start[1] + y) * 40 + start[2] + x]!;
      expect(values[(d * 8 + y) * 8 + x]).toBeCloseTo(Math.min(1000, hu) / 1000, 6);
    }
  });

  it('takes boxes that are at least half body and share at most half of their voxels', () => {
    for (const { values } of patches) expect(values.filter((value) => value > -0.9).length / values.length).toBeGreaterThanOrEqual(LEAST_BODY);
    for (const [n, a] of patches.entries()) for (const b of patches.slice(n + 1)) expect(sharedPart(a.start, b.start, grid.shape)).toBeLessThanOrEqual(MOST_SHARED);
  });

  it('draws the same places for the same seed and name only', () => {
    const places = (changes: object): string => JSON.stringify(cutPatches(volume, { ...options, ...changes }).map(({ start }) => start));
    expect(places({})).toBe(JSON.stringify(patches.map(({ start }) => start)));
    expect(places({ seed: 4 })).not.toBe(places({}));
    expect(places({ stream: 'other' })).not.toBe(places({}));
  });

  it('gives fewer where there is no room, and puts a thin scan in the middle of air', () => {
    const thin = cutPatches(scan([2, 12, 12], 0), options);
    expect(thin.length).toBeLessThan(12);
    for (const { values } of thin) {
      const planes = [0, 1, 2, 3].map((d) => values.subarray(d * 64, d * 64 + 64).some((value) => value > -1));
      expect(planes).toEqual([false, true, true, false]);
    }
  });

  it('clips to ±1000 HU', () => {
    const bright = scan([4, 8, 8], 0);
    bright.hu.fill(1800, 0, 300);
    bright.hu[17] = -1200;
    const [patch] = cutPatches(bright, { ...options, count: 1 });
    expect([patch!.values[0], patch!.values[17]]).toEqual([1, -1]);
  });

  it('refuses a scan without a body', () => {
    expect(() => cutPatches(scan([12, 40, 40], 20), options)).toThrow('cutPatches: block.nii: no box of [4, 8, 8] voxels at [4, 4, 4] mm is at least half body');
  });
});

it('sharedPart is the product of what is shared along each axis', () => {
  expect(sharedPart([0, 0, 0], [2, 0, 4], [4, 8, 8])).toBe(0.25);
  expect(sharedPart([0, 0, 0], [4, 0, 0], [4, 8, 8])).toBe(0);
});
