import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { psnr, ssim, type Size3 } from '../../../src/data/index.ts';

const fixture = JSON.parse(readFileSync(new URL('../../fixtures/data/image-quality.json', import.meta.url), 'utf8')) as { shape: Size3; a: number[]; b: number[]; psnr: number; ssim: number };

describe('image quality', () => {
  it('agrees with scipy (test/reference/image_quality.py)', () => {
    expect(psnr(fixture.a, fixture.b)).toBeCloseTo(fixture.psnr, 10);
    expect(ssim(fixture.a, fixture.b, fixture.shape)).toBeCloseTo(fixture.ssim, 10);
  });

  it('of equal volumes has no PSNR and an SSIM of 1', () => {
    expect(psnr(fixture.a, fixture.a)).toBeNull();
    expect(ssim(fixture.a, fixture.a, fixture.shape)).toBeCloseTo(1, 12);
  });

  it('says what does not fit', () => {
    expect(() => psnr([1, 2], [1])).toThrow('psnr: the volumes must have the same number of voxels, got 2 and 1');
    expect(() => ssim([1, 2], [1], [1, 1, 2])).toThrow('ssim: the volumes must have the same number of voxels');
  });

  it('of slices below a window has no SSIM', () => {
    expect(ssim(new Float32Array(36), new Float32Array(36), [1, 6, 6])).toBeNull();
  });
});
