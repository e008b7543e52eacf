/** One scan's bytes, of whatever format, to the model's input: what a decoding worker runs. */
import { looksLikeChest } from './chest-check.ts';
import { isGzip } from './gunzip.ts';
import { isJpeg } from './jpeg-header.ts';
import { decodeJpegVolume, greyToHu, greyToValues, jpegRoundTrip } from './jpeg-volume.ts';
import { isNiftiBytes, readNifti } from './nifti.ts';
import { isNpz, readNpz } from './npz.ts';
import { preprocess } from './preprocess.ts';
import { applyMetadata, type ScanMetadata } from './scan-metadata.ts';
import { HU_WINDOW } from './volume.ts';
import type { CtVolume, InputGrid, Size3 } from './volume.ts';

export type ScanFormat = 'nifti' | 'npz' | 'jpeg-volume';

export interface DecodeScanOptions {
  /** [O] Average where the grid's spacing is over twice the scan's (see resample.ts); on unless switched off. */
  antialias?: boolean;
  /** Compress the input as JPEG of this quality and decode it again; absent: as the scan gives it. */
  quality?: number;
  /** What a metadata table says, for what the file lacks (scan-metadata.ts). */
  metadata?: ScanMetadata;
}

export interface DecodedScan {
  /** [D, Y, X] of the grid, in [-1, 1]. */
  values: Float32Array;
  warnings: string[];
  format: ScanFormat;
  /** Quality of the JPEG that the values last went through, or null for uncompressed input. */
  quality: number | null;
}

/**
 * Reads NIfTI (plain or gzipped), .npz or a JPEG volume, told apart by content. A JPEG volume on another grid than the model's is
 * resampled, with a warning.
 * @throws with the scan's name for anything else and for whatever its reader refuses.
 */
export async function decodeScan(
  bytes: Uint8Array,
  name: string,
  grid: InputGrid,
  options: DecodeScanOptions = {},
): Promise<DecodedScan> {
  const decoded = await decodeByFormat(bytes, name, grid, options.antialias ?? true, options.metadata);
  if (options.quality === undefined) return decoded;
  return { ...decoded, values: await jpegRoundTrip(decoded.values, grid.shape, options.quality), quality: options.quality };
}

/** The scan as a volume in HU at its own spacing, whatever its format. */
export async function readScan(bytes: Uint8Array, name: string): Promise<CtVolume> {
  const format = scanFormat(bytes, name);
  return format === 'jpeg-volume' ? readJpegVolume(bytes, name) : format === 'npz' ? readNpz(bytes, name) : readNifti(bytes, name);
}

/** @throws naming the scan and what it is instead, where it is neither NIfTI nor a ZIP. */
export function scanFormat(bytes: Uint8Array, name: string): ScanFormat {
  if (isZip(bytes)) return isNpz(bytes) ? 'npz' : 'jpeg-volume';
  if (isGzip(bytes) || isNiftiBytes(bytes)) return 'nifti';
  const received = isJpeg(bytes)
    ? 'a single JPEG picture (an X-ray or one slice is no volume)'
    : isDicom(bytes)
      ? 'a DICOM file (convert its series to .nii.gz)'
      : bytes.length === 0
        ? 'an empty file'
        : 'something else';
  throw new Error(`decodeScan: ${name}: a scan must be NIfTI (.nii, .nii.gz) or a JPEG volume (.zip), got ${received}`);
}

async function decodeByFormat(bytes: Uint8Array, name: string, grid: InputGrid, antialias: boolean, metadata?: ScanMetadata): Promise<DecodedScan> {
  const format = scanFormat(bytes, name);
  if (format !== 'jpeg-volume') {
    const read = format === 'npz' ? readNpz(bytes, name) : readNifti(bytes, name);
    const volume = metadata ? applyMetadata(read, metadata) : read;
    const { values } = preprocess(volume, grid, { antialias });
    return { values, warnings: [...volume.warnings, ...looksLikeChest(volume)], format, quality: null };
  }
  const jpeg = await decodeJpegVolume(bytes, name);
  const decoded = { format: 'jpeg-volume', quality: jpeg.quality } as const;
  if (isOnGrid(jpeg, grid)) return { ...decoded, values: greyToValues(jpeg.grey), warnings: [] };
  const { values } = preprocess(toVolume(jpeg, name), grid, { antialias });
  const warning = `the JPEG volume is [${jpeg.shape.join(', ')}] at [${jpeg.spacingMm.join(', ')}] mm, resampled to the model's [${grid.shape.join(', ')}] at [${grid.spacingMm.join(', ')}] mm; prepare it at the model's preset instead`;
  return { ...decoded, values, warnings: [warning] };
}

async function readJpegVolume(bytes: Uint8Array, name: string): Promise<CtVolume> {
  return toVolume(await decodeJpegVolume(bytes, name), name);
}

function toVolume(jpeg: Awaited<ReturnType<typeof decodeJpegVolume>>, name: string): CtVolume {
  return { hu: greyToHu(jpeg.grey, jpeg.window), shape: jpeg.shape, spacingMm: jpeg.spacingMm, warnings: [], source: name };
}

function isOnGrid(jpeg: { shape: Size3; spacingMm: Size3; window: readonly number[] }, grid: InputGrid): boolean {
  const same = (a: readonly number[], b: readonly number[]): boolean => a.every((value, axis) => Math.abs(value - b[axis]!) < 1e-6);
  return same(jpeg.shape, grid.shape) && same(jpeg.spacingMm, grid.spacingMm) && same(jpeg.window, HU_WINDOW);
}

function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

function isDicom(bytes: Uint8Array): boolean {
  return bytes.length >= 132 && String.fromCharCode(...bytes.subarray(128, 132)) === 'DICM';
}
