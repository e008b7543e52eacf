import { describe, expect, it } from 'vitest';
import { preprocess, type CtVolume, type InputGrid, type Size3 } from '../../../src/data/index.ts';
import { gridOriginMm } from '../../../web/grid-origin.ts';

/** Centre of mass of what is above air, in voxels along D, Y, X. */
function centre(values: ArrayLike<number>, [, height, width]: Size3, air: number): Size3 {
  const sums = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const weight = values[i]! - air;
    sums[0]! += weight;
    [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width].forEach((at, axis) => (sums[axis + 1]! += weight * at));
  }
  return sums.slice(1).map((sum) => sum / sums[0]!) as Size3;
}

describe('gridOriginMm', () => {
  const cases: [what: string, shape: Size3, spacingMm: Size3, grid: InputGrid][] = [
    ['a grid that is larger than the scan', [20, 30, 40], [2, 3, 1.5], { shape: [32, 64, 64], spacingMm: [2, 2, 2] }],
    ['a grid that is smaller than the scan', [40, 50, 60], [2, 2, 2], { shape: [16, 24, 20], spacingMm: [2, 2, 2] }],
    ['a coarser grid', [40, 60, 60], [3, 2, 2], { shape: [16, 16, 16], spacingMm: [6, 6, 6] }],
  ];

  it.each(cases)('places %s where preprocess has taken its voxels from', (_, shape, spacingMm, grid) => {
    const hu = new Float32Array(shape[0] * shape[1] * shape[2]).fill(-1000);
    const at = shape.map((extent, axis) => Math.floor(extent / 2) + axis - 1) as Size3;
    // A blot of three voxels a side, so that resampling keeps its centre.
    for (const z of [-1, 0, 1]) for (const y of [-1, 0, 1]) for (const x of [-1, 0, 1]) hu[((at[0] + z) * shape[1] + at[1] + y) * shape[2] + at[2] + x] = 500;
    const volume: CtVolume = { hu, shape, spacingMm, warnings: [], source: 'blot' };
    const seen = centre(preprocess(volume, grid, { antialias: false }).values, grid.shape, -1);
    const [r, a, s] = gridOriginMm(volume, grid);
    const world = [s + seen[0] * grid.spacingMm[0], -a + seen[1] * grid.spacingMm[1], -r + seen[2] * grid.spacingMm[2]];
    world.forEach((mm, axis) => expect(Math.abs(mm - at[axis]! * spacingMm[axis]!)).toBeLessThan(grid.spacingMm[axis]! / 2));
  });

  it('gives the cells of a token grid their own first centre', () => {
    const volume = { shape: [16, 64, 64] as Size3, spacingMm: [22.5, 5.625, 5.625] as Size3 };
    const grid = { shape: [16, 64, 64] as Size3, spacingMm: [22.5, 5.625, 5.625] as Size3 };
    expect(gridOriginMm(volume, grid).map((mm) => mm + 0)).toEqual([0, 0, 0]);
    expect(gridOriginMm(volume, grid, [8, 8, 8])).toEqual([-(22.5 - 2.8125), -(22.5 - 2.8125), 22.5 - 11.25]);
  });
});
