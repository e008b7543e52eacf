import { describe, expect, it } from 'vitest';
import { PLANE_EDGES, thumbnail } from '../../../src/data/index.ts';
import type { CtVolume, Plane } from '../../../src/data/index.ts';

/** 4 × 6 × 8 voxels of 2 × 1 × 1 mm; HU rise towards one house axis: 0 superior, 1 posterior, 2 left. */
function ramp(axis: number): CtVolume {
  const shape: [number, number, number] = [4, 6, 8];
  const hu = Float32Array.from({ length: 192 }, (_, i) => [Math.floor(i / 48), Math.floor(i / 8) % 6, i % 8][axis]! * 100);
  return { hu, shape, spacingMm: [2, 1, 1], warnings: [], source: 'ramp' };
}

describe('thumbnail', () => {
  it.each<[Plane, number, number]>([['axial', 32, 24], ['coronal', 32, 32], ['sagittal', 24, 32]])('%s in true proportions', (plane, width, height) => {
    const picture = thumbnail(ramp(2), plane, 0.5, [0, 700], 32);
    expect([picture.width, picture.height, picture.grey.length]).toEqual([width, height, width * height]);
  });

  // Which corner is bright says which way the picture is up; the letters of the edges must say the same.
  const axes = ['S', 'P', 'L'];
  it.each<[Plane, number]>([['axial', 1], ['axial', 2], ['coronal', 0], ['coronal', 2], ['sagittal', 0], ['sagittal', 1]])('%s shows axis %i where its letter is', (plane, axis) => {
    const { grey, width, height } = thumbnail(ramp(axis), plane, 0.5, [0, 700], 32);
    const at = (row: number, column: number): number => grey[row * width + column]!;
    const [left, right, top, bottom] = PLANE_EDGES[plane];
    const bright = at(0, 0) < at(0, width - 1) ? right : at(0, 0) > at(0, width - 1) ? left : at(0, 0) < at(height - 1, 0) ? bottom : top;
    expect(bright).toBe(axes[axis]);
  });

  it('maps the window to black and white', () => {
    const { grey } = thumbnail({ ...ramp(2), hu: new Float32Array(192).fill(41) }, 'axial', 0.5, [-160, 240], 8);
    expect(new Set(grey)).toEqual(new Set([128]));
    expect(new Set(thumbnail(ramp(2), 'axial', 1, [-10, 11], 8).grey)).toEqual(new Set([121, 255]));
  });
});
