/**
 * Writes int16 HU as a NIfTI-1 single file with sform and qform, as scanners' converters do. The phantom cohort goes through
 * this and then through the very reader that real scans go through.
 * Source: nifti1.h (header layout, quaternion from a rotation matrix).
 */
import { gzipSync } from 'fflate';
import type { Size3 } from './volume.ts';
import { voxelCount } from './volume.ts';

export interface NiftiSource {
  /** HU in [D, Y, X] house orientation; rounded to int16. */
  hu: Int16Array | Float32Array;
  shape: Size3;
  spacingMm: Size3;
}

export interface NiftiWriteOptions {
  /** The file's axes i, j, k as letters. 'LPS' is the house order and copies the voxels as they lie. */
  axes?: string;
  /** World position (R, A, S in mm) of the file's first voxel. */
  originMm?: Size3;
  /** Up to 79 ASCII characters. */
  description?: string;
}

const VOXELS_AT = 352;
const DATATYPE_INT16 = 4;
const UNITS_MM = 2;
const SCANNER_ANATOMICAL = 1;
/** Letter to (house axis D, Y, X; whether it runs against that axis; world axis R, A, S; its sign). */
const LETTERS: Record<string, { house: number; reversed: boolean; world: number; sign: number }> = {
  S: { house: 0, reversed: false, world: 2, sign: 1 },
  I: { house: 0, reversed: true, world: 2, sign: -1 },
  P: { house: 1, reversed: false, world: 1, sign: -1 },
  A: { house: 1, reversed: true, world: 1, sign: 1 },
  L: { house: 2, reversed: false, world: 0, sign: -1 },
  R: { house: 2, reversed: true, world: 0, sign: 1 },
};

/** The bytes of a .nii. Throws where shape, spacing or axes make no volume. */
export function writeNifti(source: NiftiSource, options: NiftiWriteOptions = {}): Uint8Array {
  const axes = parseAxes(options.axes ?? 'LPS');
  checkSource(source);
  const fileShape = axes.map(({ house }) => source.shape[house]) as Size3;
  const fileSpacing = axes.map(({ house }) => source.spacingMm[house]) as Size3;
  const bytes = new Uint8Array(VOXELS_AT + 2 * voxelCount(fileShape));
  const view = new DataView(bytes.buffer);
  writeHeader(view, fileShape, options.description ?? '');
  writeGeometry(view, axes, fileSpacing, options.originMm ?? [0, 0, 0]);
  writeVoxels(view, source, axes, fileShape);
  return bytes;
}

/** The bytes of a .nii.gz; the same input gives the same bytes (no time stamp). */
export function writeNiftiGz(source: NiftiSource, options: NiftiWriteOptions & { level?: 1 | 6 | 9 } = {}): Uint8Array {
  return gzipSync(writeNifti(source, options), { level: options.level ?? 6, mtime: 0 });
}

function parseAxes(code: string): (typeof LETTERS)[string][] {
  const axes = [...code.toUpperCase()].map((letter) => LETTERS[letter]);
  if (axes.length !== 3 || new Set(axes.map((axis) => axis?.house)).size !== 3 || axes.includes(undefined as never)) {
    throw new Error(`writeNifti: axes must be three letters, one of each of LR, AP, SI, got '${code}'`);
  }
  return axes as (typeof LETTERS)[string][];
}

function checkSource({ hu, shape, spacingMm }: NiftiSource): void {
  if (hu.length !== voxelCount(shape) || shape.some((size) => size < 1 || size > 32767)) {
    throw new Error(`writeNifti: shape [${shape.join(', ')}] must hold the ${hu.length} voxels, each size 1 to 32767`);
  }
  if (!spacingMm.every((size) => size > 0)) {
    throw new Error(`writeNifti: spacing must be positive, got [${spacingMm.join(', ')}]`);
  }
}

function writeHeader(view: DataView, shape: Size3, description: string): void {
  view.setInt32(0, 348, true);
  [3, ...shape, 1, 1, 1, 1].forEach((size, i) => view.setInt16(40 + 2 * i, size, true));
  view.setInt16(70, DATATYPE_INT16, true);
  view.setInt16(72, 16, true);
  view.setFloat32(108, VOXELS_AT, true);
  view.setFloat32(112, 1, true);
  view.setUint8(123, UNITS_MM);
  [...description.slice(0, 79)].forEach((letter, i) => view.setUint8(148 + i, letter.charCodeAt(0) & 127));
  [...'n+1'].forEach((letter, i) => view.setUint8(344 + i, letter.charCodeAt(0)));
}

function writeGeometry(view: DataView, axes: (typeof LETTERS)[string][], spacing: Size3, origin: Size3): void {
  const rotation = [0, 1, 2].map((world) => axes.map((axis) => (axis.world === world ? axis.sign : 0)));
  const { quaternion, qfac } = toQuaternion(rotation);
  [qfac, ...spacing, 0, 0, 0, 0].forEach((value, i) => view.setFloat32(76 + 4 * i, value, true));
  view.setInt16(252, SCANNER_ANATOMICAL, true);
  view.setInt16(254, SCANNER_ANATOMICAL, true);
  [...quaternion, ...origin].forEach((value, i) => view.setFloat32(256 + 4 * i, value, true));
  rotation.forEach((row, world) => {
    row.forEach((value, axis) => view.setFloat32(280 + 16 * world + 4 * axis, value * spacing[axis]!, true));
    view.setFloat32(280 + 16 * world + 12, origin[world]!, true);
  });
}

/** (b, c, d) of the unit quaternion with a ≥ 0; an improper matrix is made proper by reversing its third column (qfac -1). */
function toQuaternion(matrix: number[][]): { quaternion: Size3; qfac: number } {
  const m = (row: number, column: number): number => matrix[row]![column]!;
  const determinant =
    m(0, 0) * (m(1, 1) * m(2, 2) - m(1, 2) * m(2, 1)) -
    m(0, 1) * (m(1, 0) * m(2, 2) - m(1, 2) * m(2, 0)) +
    m(0, 2) * (m(1, 0) * m(2, 1) - m(1, 1) * m(2, 0));
  const qfac = determinant < 0 ? -1 : 1;
  const r = (row: number, column: number): number => m(row, column) * (column === 2 ? qfac : 1);
  const a = Math.sqrt(Math.max(0, 1 + r(0, 0) + r(1, 1) + r(2, 2))) / 2;
  if (a > 0.25) {
    return { qfac, quaternion: [(r(2, 1) - r(1, 2)) / (4 * a), (r(0, 2) - r(2, 0)) / (4 * a), (r(1, 0) - r(0, 1)) / (4 * a)] };
  }
  const b = Math.sqrt(Math.max(0, 1 + r(0, 0) - r(1, 1) - r(2, 2))) / 2;
  const c = Math.sqrt(Math.max(0, 1 + r(1, 1) - r(0, 0) - r(2, 2))) / 2;
  const d = Math.sqrt(Math.max(0, 1 + r(2, 2) - r(0, 0) - r(1, 1))) / 2;
  // The largest component is safe to divide by; the others' signs follow from it.
  if (b >= c && b >= d) return { qfac, quaternion: signed(a, r(2, 1) - r(1, 2), [b, (r(0, 1) + r(1, 0)) / (4 * b), (r(0, 2) + r(2, 0)) / (4 * b)]) };
  if (c >= d) return { qfac, quaternion: signed(a, r(0, 2) - r(2, 0), [(r(0, 1) + r(1, 0)) / (4 * c), c, (r(1, 2) + r(2, 1)) / (4 * c)]) };
  return { qfac, quaternion: signed(a, r(1, 0) - r(0, 1), [(r(0, 2) + r(2, 0)) / (4 * d), (r(1, 2) + r(2, 1)) / (4 * d), d]) };
}

/** Keeps a ≥ 0, which the header does not store: q and -q are the same rotation. */
function signed(a: number, sense: number, quaternion: Size3): Size3 {
  return a > 0 && sense < 0 ? (quaternion.map((value) => -value) as Size3) : quaternion;
}

function writeVoxels(view: DataView, source: NiftiSource, axes: (typeof LETTERS)[string][], fileShape: Size3): void {
  const [, height, width] = source.shape;
  const houseStride = [height * width, width, 1];
  const step = axes.map(({ house, reversed }) => (reversed ? -houseStride[house]! : houseStride[house]!));
  const start = axes.reduce((sum, { house, reversed }) => sum + (reversed ? (source.shape[house]! - 1) * houseStride[house]! : 0), 0);
  let at = VOXELS_AT;
  for (let k = 0; k < fileShape[2]; k++) {
    for (let j = 0; j < fileShape[1]; j++) {
      let from = start + k * step[2]! + j * step[1]!;
      for (let i = 0; i < fileShape[0]; i++, from += step[0]!, at += 2) {
        view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(source.hu[from]!))), true);
      }
    }
  }
}
