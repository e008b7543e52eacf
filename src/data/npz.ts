/**
 * Volumes in NumPy's `.npz`: a ZIP of `.npy` arrays, as Rad-ChestCT has them in `ct`.
 *
 * The array carries no geometry. It is taken as Rad-ChestCT's preprocessing leaves it [C]: HU, [slices, rows, columns] with the most
 * superior slice first, rows towards Posterior, columns towards Left, 0.8 mm in every direction.
 *
 * The header is read here: the packages for it bring a fetch of their own and trust the header's sizes.
 */
import { strFromU8, unzipSync } from 'fflate';
import { checkHounsfield } from './hounsfield.ts';
import { radChestCtSplit } from './rad-chestct.ts';
import type { CtVolume, Size3 } from './volume.ts';
import { voxelCount } from './volume.ts';

const SPACING_MM: Size3 = [0.8, 0.8, 0.8];
const MAX_SIDE = 2048;
const MAX_VOXELS = 2 ** 28;
const MAX_HEADER_BYTES = 65536;
const MAX_ITEM_BYTES = 8;
/** Deflate cannot expand further. */
const MAX_DEFLATE_RATIO = 1032;
const PREFERRED = 'ct.npy';
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

type Read = (view: DataView, at: number, littleEndian: boolean) => number;
const ITEMS: Record<string, { bytes: number; read: Read }> = {
  i1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  u1: { bytes: 1, read: (view, at) => view.getUint8(at) },
  i2: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  u2: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  i4: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  u4: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  f4: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  f8: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
};

/** Whether a ZIP's first file is an array: what tells an .npz from a JPEG volume. */
export function isNpz(bytes: Uint8Array): boolean {
  if (bytes.length < 30 || bytes[0] !== 0x50 || bytes[1] !== 0x4b || bytes[2] !== 3) return false;
  const nameBytes = bytes[26]! | (bytes[27]! << 8);
  return strFromU8(bytes.subarray(30, 30 + nameBytes), true).endsWith('.npy');
}

/**
 * @param name what errors and `source` call the scan.
 * @throws `readNpz: name: …` for anything but one whole three-dimensional array of numbers; sizes are checked before they are
 * allocated.
 */
export function readNpz(bytes: Uint8Array, name: string): CtVolume {
  const where = `readNpz: ${name}`;
  const array = parseNpy(arrayBytes(bytes, where), where);
  const [depth, height, width] = array.shape;
  const hu = new Float32Array(voxelCount(array.shape));
  const slice = height * width;
  // The most superior slice comes first; D runs towards Superior.
  for (let d = 0; d < depth; d++) array.readInto(hu, (depth - 1 - d) * slice, d * slice, slice);
  const warnings = checkHounsfield(hu, where);
  if (radChestCtSplit(name.replace(/^.*[\\/]/, '').replace(/\.npz$/i, '')) === null) {
    warnings.push("an .npz carries no geometry: taken as Rad-ChestCT's (0.8 mm, most superior slice first, rows to the back, columns to the left)");
  }
  return { hu, shape: array.shape, spacingMm: [...SPACING_MM], warnings, source: name };
}

function arrayBytes(zip: Uint8Array, where: string): Uint8Array {
  const names: string[] = [];
  let refusal: string | null = null;
  let files: Record<string, Uint8Array>;
  try {
    unzipSync(zip, { filter: ({ name }) => (names.push(name), false) });
    const wanted = names.includes(PREFERRED) ? PREFERRED : names.length === 1 ? names[0] : undefined;
    if (wanted === undefined) refusal = `the array must be called 'ct' or be the only one, found ${names.slice(0, 5).map((each) => `'${each.slice(0, 40)}'`).join(', ') || 'none'}`;
    else if (names.filter((each) => each === wanted).length > 1) refusal = `the array '${wanted}' is there twice`;
    files = refusal ? {} : unzipSync(zip, {
      filter: ({ name, originalSize }) => {
        if (name !== wanted) return false;
        if (originalSize > Math.min(MAX_VOXELS * MAX_ITEM_BYTES + MAX_HEADER_BYTES, zip.length * MAX_DEFLATE_RATIO)) refusal = `'${name}' says it has ${originalSize} bytes, more than a scan or this file can hold`;
        return refusal === null;
      },
    });
  } catch (cause) {
    throw new Error(`${where}: not a readable .npz (${(cause as Error).message}); copy the file again`, { cause });
  }
  const [array] = Object.values(files);
  if (refusal || !array) throw new Error(`${where}: ${refusal ?? 'the array is missing'}`);
  return array;
}

interface NpyArray {
  shape: Size3;
  readInto(to: Float32Array, toIndex: number, from: number, count: number): void;
}

function parseNpy(bytes: Uint8Array, where: string): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || MAGIC.some((byte, at) => bytes[at] !== byte)) throw new Error(`${where}: the array is no .npy; save it with numpy.savez_compressed(file, ct=array)`);
  const long = bytes[6]! >= 2;
  const headerBytes = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (long ? 12 : 10) + headerBytes;
  if (headerBytes > MAX_HEADER_BYTES || start > bytes.length) throw new Error(`${where}: the array's header is cut or damaged; copy the file again`);
  const header = new TextDecoder('latin1').decode(bytes.subarray(long ? 12 : 10, start));
  const [, order, code] = /'descr'\s*:\s*'([<>|=])(\w\d+)'/.exec(header) ?? [];
  const item = ITEMS[code ?? ''];
  if (!item) throw new Error(`${where}: the array must be of numbers (int8 to int32, float32, float64), got ${/'descr'\s*:\s*([^,}]*)/.exec(header)?.[1]?.slice(0, 40) ?? 'no type'}; convert it with .astype(numpy.int16)`);
  if (/'fortran_order'\s*:\s*True/.test(header)) throw new Error(`${where}: the array must be in C order; save numpy.ascontiguousarray(ct)`);
  const shape = (/'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1] ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '').map(Number);
  if (shape.length !== 3 || !shape.every((size) => Number.isInteger(size) && size >= 1 && size <= MAX_SIDE) || voxelCount(shape) > MAX_VOXELS) {
    throw new Error(`${where}: the array must be [slices, rows, columns], 1 to ${MAX_SIDE} each and ${MAX_VOXELS} voxels at most, got [${shape.join(', ')}]`);
  }
  const data = voxelCount(shape) * item.bytes;
  if (bytes.length - start !== data) throw new Error(`${where}: the header asks for ${data} bytes of voxels, the array has ${bytes.length - start}; copy the file again`);
  const littleEndian = order !== '>';
  return {
    shape: shape as Size3,
    readInto(to, toIndex, from, count) {
      for (let n = 0; n < count; n++) to[toIndex + n] = item.read(view, start + (from + n) * item.bytes, littleEndian);
    },
  };
}
