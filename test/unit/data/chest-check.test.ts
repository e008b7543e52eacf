import { describe, expect, it } from 'vitest';
import { chestConcerns, looksLikeChest } from '../../../src/data/index.ts';
import type { CtVolume, Size3 } from '../../../src/data/index.ts';

/** A cylinder of soft tissue in air, with two cylinders of `inside` HU and `radius` voxels and a spine behind in it, 4 mm voxels. */
function torso(inside: number, radius = 12, shape: Size3 = [60, 80, 90]): CtVolume {
  const [depth, height, width] = shape;
  const hu = new Float32Array(depth * height * width).fill(-1000);
  const within = (y: number, x: number, centre: number, most: number): boolean => Math.hypot(y - height / 2, x - centre) < most;
  for (let i = 0; i < hu.length; i++) {
    const [y, x] = [Math.floor(i / width) % height, i % width];
    if (within(y, x, width / 2, 36)) hu[i] = 40;
    if (within(y, x, width / 2 - 16, radius) || within(y, x, width / 2 + 16, radius)) hu[i] = inside;
    if (within(y - 24, x, width / 2, 5)) hu[i] = 400;
  }
  return { hu, shape, spacingMm: [4, 4, 4], warnings: [], source: 'torso' };
}

describe('looksLikeChest', () => {
  it('accepts a torso with lungs', () => expect(looksLikeChest(torso(-820))).toEqual([]));
  it('misses the lungs where there are none, or only gas', () => {
    for (const inside of [30, -1000]) expect(looksLikeChest(torso(inside)).join()).toContain('only 0.0 % of the body is lung');
  });
  it('wants 8 % of the body to be lung: an abdomen with the lungs\' lower ends has less', () => {
    expect(looksLikeChest(torso(-820, 8))).toEqual([]); // 10 %
    expect(looksLikeChest(torso(-820, 5))).toEqual([expect.stringMatching(/^only [34]\.\d % of the body is lung: this does not look like a chest$/)]);
  });

  it('sees a chest that is turned over or on its side, by spine and width', () => {
    const chest = torso(-820);
    expect(looksLikeChest({ ...chest, hu: chest.hu.slice().reverse() })).toEqual(['the spine seems to lie in front: the orientation in the header looks wrong']);
    expect(looksLikeChest({ ...chest, spacingMm: [4, 5, 3] })).toEqual(['the body is 330 mm deep and 198 mm wide: the orientation in the header looks wrong']);
  });
  it('misses height and field of view', () => {
    const short = { ...torso(-820), spacingMm: [1, 1.5, 4] as Size3 };
    expect(looksLikeChest(short)).toEqual([expect.stringContaining('60 mm head to foot'), expect.stringContaining('120 × 360 mm')]);
  });
  it('says what each concern is about', () => {
    expect(chestConcerns({ ...torso(-820), spacingMm: [1, 1.5, 4] }).map(({ about }) => about)).toEqual(['height', 'field']);
    expect(chestConcerns(torso(30)).map(({ about }) => about)).toEqual(['lung']);
    const chest = torso(-820);
    expect(chestConcerns({ ...chest, hu: chest.hu.slice().reverse() }).map(({ about }) => about)).toEqual(['orientation']);
  });
  it('says where there is no body', () => {
    const air = { ...torso(-820), hu: new Float32Array(60 * 80 * 90).fill(-1000) };
    expect(looksLikeChest(air)).toEqual(['no body is found in the scan']);
  });
});
