/** One scan, of whatever format, to the model's input: what a decoding worker runs. */
import { looksLikeChest } from './chest-check.ts';
import { dicomZipSources, isDicom, readDicom, zipEntries } from './dicom/index.ts';
import type { DicomSource } from './dicom/index.ts';
import { isGzip } from './gunzip.ts';
import { isJpeg } from './jpeg-header.ts';
import { decodeJpegVolume, DESCRIPTION_FILE, greyToHu, greyToValues, jpegRoundTrip } from './jpeg-volume.ts';
import { isNiftiBytes, readNifti } from './nifti.ts';
import { isNpz, readNpz } from './npz.ts';
import { preprocess } from './preprocess.ts';
import { applyMetadata, type ScanMetadata } from './scan-metadata.ts';
import { HU_WINDOW } from './volume.ts';
import type { CtVolume, InputGrid, Size3 } from './volume.ts';
import { isZip } from './zip-archive.ts';

export type ScanFormat = 'nifti' | 'npz' | 'jpeg-volume' | 'dicom';

/** A scan's file, or the files of a folder with a DICOM series (`dicomFolderSources`). */
export type ScanContent = Uint8Array | readonly DicomSource[];

export interface ReadScanOptions {
  /** SeriesInstanceUID, for DICOM with several series. */
  series?: string;
}

export interface DecodeScanOptions extends ReadScanOptions {
  /** [O] Average where the grid's spacing is over twice the scan's (see resample.ts); on unless switched off. */
  antialias?: boolean;
  /** Give the scan itself too; off unless asked for, it may take hundreds of megabytes. */
  keepVolume?: boolean;
  /** Compress the input as JPEG of this quality and decode it again; absent: as the scan gives it. */
  quality?: number;
  /** What a metadata table says, for what the file lacks (scan-metadata.ts). */
  metadata?: ScanMetadata;
}

export interface DecodedScan {
  /** [D, Y, X] of the grid, in [-1, 1]. */
  values: Float32Array;
  /** The same as grey levels, where the input went through JPEG last: `values` is `greyToValues` of it. */
  grey?: Uint8Array<ArrayBuffer>;
  warnings: string[];
  format: ScanFormat;
  /** Quality of the JPEG that the values last went through, or null for uncompressed input. */
  quality: number | null;
  /** The scan in HU at its own spacing, where `keepVolume` asks for it. */
  volume?: CtVolume;
}

/**
 * Reads NIfTI (plain or gzipped), .npz, a DICOM series (a ZIP, the files of a folder, or one enhanced file) or a JPEG volume, told
 * apart by content. A JPEG volume on another grid than the model's is resampled, with a warning.
 * @throws with the scan's name for anything else and for whatever its reader refuses.
 */
export async function decodeScan(
  scan: ScanContent,
  name: string,
  grid: InputGrid,
  options: DecodeScanOptions = {},
): Promise<DecodedScan> {
  const decoded = await decodeByFormat(scan, name, grid, options);
  if (options.quality === undefined) return decoded;
  const grey = await jpegRoundTrip(decoded.values, grid.shape, options.quality);
  return { ...decoded, values: greyToValues(grey), grey, quality: options.quality };
}

/** The scan as a volume in HU at its own spacing, whatever its format. */
export async function readScan(scan: ScanContent, name: string, { series }: ReadScanOptions = {}): Promise<CtVolume> {
  const options = series === undefined ? {} : { series };
  if (!(scan instanceof Uint8Array)) return readDicom(scan, name, options);
  const format = scanFormat(scan, name);
  if (format === 'nifti') return readNifti(scan, name);
  if (format === 'npz') return readNpz(scan, name);
  if (format === 'dicom') return readDicom(dicomSources(scan, name), name, options);
  return toVolume(await decodeJpegVolume(scan, name), name);
}

function dicomSources(bytes: Uint8Array, name: string): DicomSource[] {
  return isZip(bytes) ? dicomZipSources(bytes, `readDicom: ${name}`) : [{ name: 'the file', read: () => bytes }];
}

/** @throws naming the scan and what it is instead, where it is neither NIfTI, DICOM nor a JPEG volume. */
export function scanFormat(bytes: Uint8Array, name: string): ScanFormat {
  if (isZip(bytes)) return isNpz(bytes) ? 'npz' : zipFormat(bytes, name);
  if (isGzip(bytes) || isNiftiBytes(bytes)) return 'nifti';
  if (isDicom(bytes)) return 'dicom';
  const received = isJpeg(bytes)
    ? 'a single JPEG picture (an X-ray or one slice is no volume)'
    : bytes.length === 0
      ? 'an empty file'
      : 'something else';
  throw new Error(`decodeScan: ${name}: a scan must be NIfTI (.nii, .nii.gz), a DICOM series or a JPEG volume (.zip), got ${received}`);
}

/** A JPEG volume has its description; any other ZIP may hold a series, and the DICOM reader says what it holds instead. */
function zipFormat(bytes: Uint8Array, name: string): ScanFormat {
  const entries = zipEntries(bytes, `decodeScan: ${name}`);
  if (entries.some((entry) => entry.name === DESCRIPTION_FILE || /^\d{3,4}\.jpg$/.test(entry.name))) return 'jpeg-volume';
  return 'dicom';
}

async function decodeByFormat(scan: ScanContent, name: string, grid: InputGrid, options: DecodeScanOptions): Promise<DecodedScan> {
  const antialias = options.antialias ?? true;
  const format = scan instanceof Uint8Array ? scanFormat(scan, name) : 'dicom';
  if (format !== 'jpeg-volume') {
    const read = await readScan(scan, name, options);
    const volume = options.metadata ? applyMetadata(read, options.metadata) : read;
    const { values } = preprocess(volume, grid, { antialias });
    return { values, warnings: [...volume.warnings, ...looksLikeChest(volume)], format, quality: null, ...(options.keepVolume && { volume }) };
  }
  const jpeg = await decodeJpegVolume(scan as Uint8Array, name);
  const decoded = { format, quality: jpeg.quality, ...(options.keepVolume && { volume: toVolume(jpeg, name) }) } as const;
  if (isOnGrid(jpeg, grid)) return { ...decoded, values: greyToValues(jpeg.grey), grey: jpeg.grey, warnings: [] };
  const { values } = preprocess(toVolume(jpeg, name), grid, { antialias });
  const warning = `the JPEG volume is [${jpeg.shape.join(', ')}] at [${jpeg.spacingMm.join(', ')}] mm, resampled to the model's [${grid.shape.join(', ')}] at [${grid.spacingMm.join(', ')}] mm; prepare it at the model's preset instead`;
  return { ...decoded, values, warnings: [warning] };
}

function toVolume(jpeg: Awaited<ReturnType<typeof decodeJpegVolume>>, name: string): CtVolume {
  return { hu: greyToHu(jpeg.grey, jpeg.window), shape: jpeg.shape, spacingMm: jpeg.spacingMm, warnings: [], source: name };
}

function isOnGrid(jpeg: { shape: Size3; spacingMm: Size3; window: readonly number[] }, grid: InputGrid): boolean {
  const same = (a: readonly number[], b: readonly number[]): boolean => a.every((value, axis) => Math.abs(value - b[axis]!) < 1e-6);
  return same(jpeg.shape, grid.shape) && same(jpeg.spacingMm, grid.spacingMm) && same(jpeg.window, HU_WINDOW);
}
