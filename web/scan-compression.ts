/** A scan beside what JPEG leaves of it, measured. */
import { decodeJpegVolume, encodeJpegVolume, greyToHu, HU_WINDOW, preprocess, psnr, ssim, voxelCount, writeNifti } from '../src/data/index.ts';
import type { InputGrid, Size3 } from '../src/data/index.ts';
import { gridOriginMm } from './grid-origin.ts';
import type { CompressedScan } from './protocol.ts';
import type { Scan } from './scan.ts';

export interface ModelGrid extends InputGrid {
  antialias: boolean;
}

/** Compresses the scan's own voxels, or with `grid` what the model reads of it. Voxels outside −1000…1000 HU are cut to it first. */
export async function compressScan({ volume, name }: Scan, quality: number, grid: ModelGrid | null): Promise<CompressedScan> {
  const [low, high] = HU_WINDOW;
  const target = grid ?? volume;
  const values = grid ? preprocess(volume, grid, { antialias: grid.antialias }).values : volume.hu.map((hu) => Math.min(high, Math.max(low, hu)) / high);
  const { shape, spacingMm } = target;
  const zip = await encodeJpegVolume(values, { shape, spacingMm }, { quality, source: name });
  const hu = greyToHu((await decodeJpegVolume(zip, name)).grey);
  const cut = values.map((value) => value * high);
  const nifti = (voxels: Float32Array): Uint8Array => writeNifti({ hu: voxels, shape, spacingMm }, { originMm: grid ? gridOriginMm(volume, grid) : [0, 0, 0] });
  return {
    quality, shape: [...shape] as Size3, spacingMm: [...spacingMm] as Size3, rawBytes: 2 * voxelCount(shape), jpegBytes: zip.length,
    psnrDb: psnr(cut, hu), ssim: ssim(cut, hu, shape), rawNifti: nifti(cut), jpegNifti: nifti(hu),
  };
}
