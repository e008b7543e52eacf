/**
 * NIfTI-1 and NIfTI-2, single file, plain or gzipped, to a CtVolume in HU and house orientation.
 * Header parsing by `nifti-reader-js`; geometry, bounds and voxel conversion here.
 *
 * Sources: nifti1.h (NIfTI-1 standard) for datatype codes, scl_slope/scl_inter, qform and sform; MODEL §1.5 and §6 for what
 * goes wrong in practice (slope applied twice, RescaleIntercept -8192, no reorientation).
 */
import { isNIFTI, isNIFTI1, NIFTI1, readHeader } from 'nifti-reader-js';
import type { NIFTI2 } from 'nifti-reader-js';
import { gunzipBounded, isGzip } from './gunzip.ts';
import { checkHounsfield } from './hounsfield.ts';
import { orient, orientedShape, planAxes } from './orientation.ts';
import type { AxisPlan, Matrix3 } from './orientation.ts';
import type { CtVolume, Size3 } from './volume.ts';
import { voxelCount } from './volume.ts';
import { checkPlan, MAX_VOXELS } from './volume-limits.ts';

type Header = NIFTI1 | NIFTI2;

const HEADER_BYTES = { 1: 348, 2: 540 } as const;
/** Four bytes of extension flags follow the header; voxels start after them at the earliest. */
const FLAG_BYTES = 4;
const HEAD_BYTES = HEADER_BYTES[2] + FLAG_BYTES;
/** Relative difference between the affine's spacing and pixdim that is more than rounding. */
const SPACING_DISAGREEMENT = 0.01;
const METRES_TO_MM = 1000;
const MICRONS_TO_MM = 0.001;

const TYPE_NAMES: Record<number, string> = {
  0: 'unknown', 1: 'binary', 32: 'complex64', 128: 'RGB24', 1536: 'float128', 1792: 'complex128', 2048: 'complex256', 2304: 'RGBA32',
};

type VoxelArray = ArrayLike<number> & { readonly length: number };
interface VoxelType {
  bytes: number;
  read(view: DataView, offset: number, count: number, littleEndian: boolean): VoxelArray;
}

/** A typed array over the bytes where they are aligned and little-endian as the host is, else a copy through DataView. */
function voxelType<T extends VoxelArray>(
  make: { new (buffer: ArrayBufferLike, offset: number, count: number): T; new (count: number): T; BYTES_PER_ELEMENT: number },
  get: (view: DataView, at: number, littleEndian: boolean) => number,
): VoxelType {
  const bytes = make.BYTES_PER_ELEMENT;
  return {
    bytes,
    read(view, offset, count, littleEndian) {
      const start = view.byteOffset + offset;
      if (littleEndian && start % bytes === 0) return new make(view.buffer, start, count);
      const out = new make(count) as T & { [index: number]: number };
      for (let i = 0; i < count; i++) out[i] = get(view, offset + i * bytes, littleEndian);
      return out;
    },
  };
}

/** 64-bit integers hold CT in some research exports; as numbers they are exact far beyond any HU. */
function wideIntegers(signed: boolean): VoxelType {
  return {
    bytes: 8,
    read(view, offset, count, littleEndian) {
      const out = new Float64Array(count);
      for (let i = 0; i < count; i++) {
        const at = offset + i * 8;
        out[i] = Number(signed ? view.getBigInt64(at, littleEndian) : view.getBigUint64(at, littleEndian));
      }
      return out;
    },
  };
}

const VOXEL_TYPES: Record<number, VoxelType> = {
  [NIFTI1.TYPE_UINT8]: voxelType(Uint8Array, (v, at) => v.getUint8(at)),
  [NIFTI1.TYPE_INT8]: voxelType(Int8Array, (v, at) => v.getInt8(at)),
  [NIFTI1.TYPE_INT16]: voxelType(Int16Array, (v, at, le) => v.getInt16(at, le)),
  [NIFTI1.TYPE_UINT16]: voxelType(Uint16Array, (v, at, le) => v.getUint16(at, le)),
  [NIFTI1.TYPE_INT32]: voxelType(Int32Array, (v, at, le) => v.getInt32(at, le)),
  [NIFTI1.TYPE_UINT32]: voxelType(Uint32Array, (v, at, le) => v.getUint32(at, le)),
  [NIFTI1.TYPE_FLOAT32]: voxelType(Float32Array, (v, at, le) => v.getFloat32(at, le)),
  [NIFTI1.TYPE_FLOAT64]: voxelType(Float64Array, (v, at, le) => v.getFloat64(at, le)),
  [NIFTI1.TYPE_INT64]: wideIntegers(true),
  [NIFTI1.TYPE_UINT64]: wideIntegers(false),
};

/** Whether the bytes, not gzipped, start as a single-file NIfTI-1 or NIfTI-2. */
export function isNiftiBytes(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES[1] && isNIFTI(headBuffer(bytes), true);
}

/**
 * Reads a scan. HU = value·scl_slope + scl_inter (slope 0 or not finite: values as they are, by the standard). The affine is
 * the sform's where its code is set, else the qform's, else pixdim along +R, +A, +S with a warning. Spacing of the result is
 * the affine's. Up to 1 % of NaN or infinite voxels become -1000 HU with a warning.
 *
 * @param bytes the file; .nii or gzipped, told by content and not by name.
 * @param name what errors and `source` call the scan.
 * @throws `readNifti: name: rule, received; remedy` for all that is not one readable CT volume.
 */
export function readNifti(bytes: Uint8Array, name: string): CtVolume {
  const where = `readNifti: ${name}`;
  if (bytes.length === 0) throw new Error(`${where}: the file is empty; copy or download it again`);
  const file = isGzip(bytes)
    ? gunzipBounded(bytes, where, HEAD_BYTES, (head) => imageEnd(parseHeader(head, where), where))
    : bytes;
  const header = parseHeader(file, where);
  const end = imageEnd(header, where);
  if (file.length < end) {
    throw new Error(
      `${where}: the header promises ${end} bytes, the file has ${file.length}; it is truncated, copy or download it again`,
    );
  }
  const warnings: string[] = [];
  const plan = planGeometry(header, file, where, warnings);
  const fileShape = spatialShape(header);
  const { slope, intercept } = scaling(header, warnings);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const data = VOXEL_TYPES[header.datatypeCode]!.read(view, header.vox_offset, voxelCount(fileShape), header.littleEndian);
  const hu = orient(data, fileShape, plan, slope, intercept);
  warnings.push(...checkHounsfield(hu, where));
  return { hu, shape: orientedShape(plan, fileShape), spacingMm: plan.spacingMm, warnings, source: name };
}

function headBuffer(bytes: Uint8Array, length = HEAD_BYTES): ArrayBuffer {
  // Not bytes.slice: a Node Buffer's gives a view, and .buffer would then be the whole pool.
  return new Uint8Array(bytes.subarray(0, length)).buffer;
}

function parseHeader(bytes: Uint8Array, where: string): Header {
  const head = headBuffer(bytes);
  if (head.byteLength < HEADER_BYTES[1] || !isNIFTI(head, true)) {
    throw new Error(`${where}: not a NIfTI file (no n+1 or n+2 mark in its header); give a .nii or .nii.gz of a CT scan`);
  }
  if (!isNIFTI(head, false)) {
    throw new Error(`${where}: a .hdr/.img pair is not read; convert it to a single .nii.gz`);
  }
  const version = isNIFTI1(head) ? 1 : 2;
  try {
    // Extensions are of no use here, and a damaged one would stop the parser: hand over the bare header without its flags.
    return readHeader(headBuffer(bytes, HEADER_BYTES[version]));
  } catch (cause) {
    throw new Error(`${where}: not a NIfTI file (${(cause as Error).message}); give a .nii or .nii.gz of a CT scan`, { cause });
  }
}

function spatialShape(header: Header): Size3 {
  return [header.dims[1]!, header.dims[2]!, header.dims[3]!];
}

/** Checks type and sizes, and gives the byte at which the voxels end. Nothing is allocated before this has passed. */
function imageEnd(header: Header, where: string): number {
  const type = VOXEL_TYPES[header.datatypeCode];
  if (!type) {
    const received = TYPE_NAMES[header.datatypeCode] ?? `code ${header.datatypeCode}`;
    throw new Error(`${where}: voxels must be integers or floats, got ${received}; re-export the scan as int16 HU`);
  }
  const rank = header.dims[0]!;
  const dims = header.dims.slice(1, 1 + Math.max(0, Math.min(7, rank)));
  if (rank < 3 || rank > 7 || dims.some((size) => size < 1)) {
    throw new Error(`${where}: a volume needs three sizes of at least 1, got ${rank} dimensions [${dims.join(', ')}]`);
  }
  if (dims.slice(3).some((size) => size !== 1)) {
    throw new Error(
      `${where}: one volume to a file, got ${rank}D [${dims.join(', ')}]; split the series and give one of its volumes`,
    );
  }
  const voxels = voxelCount(dims);
  if (voxels > MAX_VOXELS) {
    throw new Error(`${where}: at most ${MAX_VOXELS} voxels, the header says [${dims.join(', ')}]; the header is damaged, or resample the scan first`);
  }
  const offset = header.vox_offset;
  if (!Number.isInteger(offset) || offset < 0 || offset > 2 ** 31) {
    throw new Error(`${where}: the header puts the voxels at byte ${offset}; the header is damaged`);
  }
  header.vox_offset = Math.max(offset, HEADER_BYTES[isVersion1(header) ? 1 : 2] + FLAG_BYTES);
  return header.vox_offset + voxels * type.bytes;
}

function isVersion1(header: Header): header is NIFTI1 {
  return header instanceof NIFTI1;
}

function scaling(header: Header, warnings: string[]): { slope: number; intercept: number } {
  const { scl_slope: slope, scl_inter: intercept } = header;
  if (slope !== 0 && Number.isFinite(slope) && Number.isFinite(intercept)) return { slope, intercept };
  if (intercept !== 0 && Number.isFinite(intercept)) {
    warnings.push(`scl_slope is ${slope}, so by the standard scl_inter ${intercept} is not applied; check the HU`);
  }
  return { slope: 1, intercept: 0 };
}

function planGeometry(header: Header, file: Uint8Array, where: string, warnings: string[]): AxisPlan {
  const toMm = millimetresPerUnit(header);
  const pixdim = header.pixDims.slice(1, 4).map((size) => size * toMm) as Size3;
  if (!pixdim.every((size) => Number.isFinite(size) && size > 0)) {
    throw new Error(`${where}: spacing must be positive, got [${pixdim.join(', ')}]; re-export the scan with its spacing`);
  }
  const affine = readAffine(header, file, warnings);
  const plan = planAxes(affine.map((row) => row.map((value) => value * toMm)) as Matrix3, where);
  checkPlan(plan, where, warnings);
  plan.fileAxis.forEach((axis, i) => {
    if (Math.abs(plan.spacingMm[i]! - pixdim[axis]!) <= SPACING_DISAGREEMENT * plan.spacingMm[i]!) return;
    warnings.push(`spacing ${round(plan.spacingMm[i]!)} mm of the affine differs from pixdim's ${round(pixdim[axis]!)} mm; the affine's is used`);
  });
  return plan;
}

const round = (value: number): number => Number(value.toPrecision(4));

function millimetresPerUnit(header: Header): number {
  const unit = header.xyzt_units & NIFTI1.SPATIAL_UNITS_MASK;
  return unit === NIFTI1.UNITS_METER ? METRES_TO_MM : unit === NIFTI1.UNITS_MICRON ? MICRONS_TO_MM : 1;
}

/**
 * The library prefers a qform of the higher code; nibabel, ITK and CT-RATE's files mean the sform wherever it is set, so the
 * rows are read here.
 */
function readAffine(header: Header, file: Uint8Array, warnings: string[]): Matrix3 {
  if (header.sform_code > 0) {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const [start, bytes] = isVersion1(header) ? [280, 4] : [400, 8];
    return rows((row, column) => {
      const at = start + (row * 4 + column) * bytes;
      return bytes === 4 ? view.getFloat32(at, header.littleEndian) : view.getFloat64(at, header.littleEndian);
    });
  }
  if (header.qform_code > 0) {
    const matrix = header.getQformMat();
    return rows((row, column) => matrix[row]![column]!);
  }
  warnings.push('the header gives no orientation (sform and qform unset); assumed to run right, anterior, superior');
  return rows((row, column) => (row === column ? header.pixDims[row + 1]! : 0));
}

function rows(value: (row: number, column: number) => number): Matrix3 {
  return [0, 1, 2].map((row) => [0, 1, 2].map((column) => value(row, column))) as Matrix3;
}
