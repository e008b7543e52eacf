/**
 * The JPEG volume: one scan as one ZIP (stored, so that any tool opens it and nothing is compressed twice) of axial grey
 * slices `000.jpg …` (000 the most inferior) and `volume.json`.
 *
 * [O] MODEL §4: per axial slice, 8-bit grey = (HU + 1000)·255/2000, baseline, quality 75 unless said otherwise. The paper's
 * own quality and window are not public.
 */
import { strFromU8, strToU8, zipSync } from 'fflate';
import { checkQuality, decodeGreyJpeg, encodeGreyJpeg } from './jpeg-codec.ts';
import type { InputGrid, Size3 } from './volume.ts';
import { GREY_VALUES, HU_WINDOW, valueToGrey, voxelCount } from './volume.ts';
import { openZip } from './zip-archive.ts';

export const DEFAULT_JPEG_QUALITY = 75;
export const JPEG_VOLUME_FORMAT = 'ct-lite-jpeg-volume';
export const JPEG_VOLUME_VERSION = 1;
/** D towards Superior, Y towards Posterior, X towards Left. */
const ORIENTATION = 'SPL';
export const DESCRIPTION_FILE = 'volume.json';
const SLICE_NAME = /^\d{3,4}\.jpg$/;

const MAX_SIDE = 2048;
const MAX_VOXELS = 2 ** 28;
const MAX_ENTRIES = MAX_SIDE + 1;
const MAX_DESCRIPTION_BYTES = 65536;
/** Generous for a baseline JPEG at quality 100 with its tables; far above, it is no such slice. */
const MAX_BYTES_PER_PIXEL = 4;
const SLICE_OVERHEAD_BYTES = 65536;

export interface JpegVolumeDescription {
  shape: Size3;
  spacingMm: Size3;
  /** HU of grey 0 and of grey 255. */
  window: [number, number];
  quality: number;
  orientation: string;
  source: string;
}

export interface JpegVolume extends JpegVolumeDescription {
  /** [D, Y, X] flat, 0..255. */
  grey: Uint8Array<ArrayBuffer>;
}

export interface EncodeJpegVolumeOptions {
  /** 1..100; 75 where not given. */
  quality?: number;
  /** What the volume was made from, written into volume.json. */
  source?: string;
}

/**
 * @param values model input in [-1, 1], [D, Y, X] of the grid.
 * @returns the ZIP; the same input gives the same bytes.
 */
export async function encodeJpegVolume(
  values: Float32Array,
  grid: InputGrid,
  options: EncodeJpegVolumeOptions = {},
): Promise<Uint8Array> {
  const { quality = DEFAULT_JPEG_QUALITY, source = '' } = options;
  const description: JpegVolumeDescription = {
    shape: [...grid.shape],
    spacingMm: [...grid.spacingMm],
    window: [HU_WINDOW[0], HU_WINDOW[1]],
    quality: Math.round(quality),
    orientation: ORIENTATION,
    source,
  };
  const slices = await encodeSlices(values, grid.shape, quality, 'encodeJpegVolume');
  const json = JSON.stringify({ format: JPEG_VOLUME_FORMAT, version: JPEG_VOLUME_VERSION, ...description }, null, 2);
  const files: Record<string, Uint8Array> = { [DESCRIPTION_FILE]: strToU8(`${json}\n`) };
  slices.forEach((bytes, index) => (files[sliceName(index)] = bytes));
  // The earliest date that ZIP can hold: a time stamp would make every run's bytes differ.
  return zipSync(files, { level: 0, mtime: new Date(1980, 0, 1) });
}

/** What training sees of a volume that was stored as JPEG: values → grey → JPEG → grey levels [D, Y, X]. */
export async function jpegRoundTrip(values: Float32Array, shape: Size3, quality: number): Promise<Uint8Array<ArrayBuffer>> {
  const slices = await encodeSlices(values, shape, quality, 'jpegRoundTrip');
  return decodeSlices((index) => slices[index]!, shape, 'jpegRoundTrip');
}

/** Grey levels to model input values in [-1, 1]. */
export function greyToValues(grey: Uint8Array): Float32Array {
  const values = new Float32Array(grey.length);
  for (let i = 0; i < grey.length; i++) values[i] = GREY_VALUES[grey[i]!]!;
  return values;
}

/** Grey levels to HU, over the window of the volume. */
export function greyToHu(grey: Uint8Array, window: readonly [number, number] = [HU_WINDOW[0], HU_WINDOW[1]]): Float32Array {
  const scale = (window[1] - window[0]) / 255;
  // A loop: Float32Array.from takes five times as long.
  const hu = new Float32Array(grey.length);
  for (let i = 0; i < grey.length; i++) hu[i] = grey[i]! * scale + window[0];
  return hu;
}

/**
 * @param name what errors call the volume.
 * @throws `decodeJpegVolume: name: …` for anything that is not one whole JPEG volume; sizes are checked before they are
 * allocated, and entries that would lie outside the volume are refused.
 */
export async function decodeJpegVolume(zip: Uint8Array, name: string): Promise<JpegVolume> {
  const where = `decodeJpegVolume: ${name}`;
  const files = unzip(zip, where);
  const description = parseDescription(files[DESCRIPTION_FILE], where);
  const [depth, height, width] = description.shape;
  for (let index = 0; index < depth; index++) {
    const bytes = files[sliceName(index)];
    if (!bytes) throw new Error(`${where}: slice ${sliceName(index)} of ${depth} is missing; make the JPEG volume again`);
    if (bytes.length > height * width * MAX_BYTES_PER_PIXEL + SLICE_OVERHEAD_BYTES) {
      throw new Error(`${where}: ${sliceName(index)}: ${bytes.length} bytes are too many for ${width} × ${height} pixels`);
    }
  }
  const slices = Object.keys(files).length - 1;
  if (slices !== depth) throw new Error(`${where}: volume.json says ${depth} slices, the ZIP holds ${slices}; make the JPEG volume again`);
  const grey = await decodeSlices((index) => files[sliceName(index)]!, description.shape, where);
  return { ...description, grey };
}

const sliceName = (index: number): string => `${String(index).padStart(3, '0')}.jpg`;

async function encodeSlices(values: Float32Array, shape: Size3, quality: number, where: string): Promise<Uint8Array[]> {
  checkQuality(where, quality);
  const [depth, height, width] = shape;
  if (values.length !== voxelCount(shape)) {
    throw new Error(`${where}: values must be [${shape.join(', ')}] = ${voxelCount(shape)}, got ${values.length}`);
  }
  const slices: Uint8Array[] = [];
  const grey = new Uint8Array(height * width);
  for (let d = 0; d < depth; d++) {
    const from = d * grey.length;
    for (let i = 0; i < grey.length; i++) grey[i] = valueToGrey(values[from + i]!);
    slices.push(await encodeGreyJpeg(grey, width, height, quality));
  }
  return slices;
}

async function decodeSlices(slice: (index: number) => Uint8Array, shape: Size3, where: string): Promise<Uint8Array<ArrayBuffer>> {
  const [depth, height, width] = shape;
  const grey = new Uint8Array(voxelCount(shape));
  for (let d = 0; d < depth; d++) {
    const image = await decodeGreyJpeg(slice(d), `${where}: ${sliceName(d)}`, { width, height });
    grey.set(image.grey, d * height * width);
  }
  return grey;
}

/** Checks every name and size before any entry is unpacked. */
function unzip(zip: Uint8Array, where: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = Object.create(null) as Record<string, Uint8Array>;
  const entries = openZip(zip, where, { entries: MAX_ENTRIES, entryBytes: MAX_SIDE * MAX_SIDE * MAX_BYTES_PER_PIXEL });
  const seen = new Set<string>();
  for (const { name, bytes } of entries) {
    if (name !== DESCRIPTION_FILE && !SLICE_NAME.test(name)) {
      throw new Error(`${where}: a JPEG volume holds ${DESCRIPTION_FILE} and 000.jpg … only, got the entry '${name.slice(0, 80)}'; make the JPEG volume again`);
    }
    if (seen.has(name)) throw new Error(`${where}: the entry ${name} is there twice`);
    seen.add(name);
    if (name === DESCRIPTION_FILE && bytes > MAX_DESCRIPTION_BYTES) throw new Error(`${where}: ${name} says it has ${bytes} bytes, at most ${MAX_DESCRIPTION_BYTES} are read`);
  }
  for (const entry of entries) files[entry.name] = entry.read();
  return files;
}

function parseDescription(bytes: Uint8Array | undefined, where: string): JpegVolumeDescription {
  if (!bytes) throw new Error(`${where}: the ZIP has no ${DESCRIPTION_FILE}: it is not a JPEG volume; make one with 'ct-lite prepare'`);
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(strFromU8(bytes)) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`${where}: ${DESCRIPTION_FILE} is not JSON (${(cause as Error).message})`, { cause });
  }
  const field = `${where}: ${DESCRIPTION_FILE}`;
  if (json === null || typeof json !== 'object' || json['format'] !== JPEG_VOLUME_FORMAT) {
    throw new Error(`${field}: format must be '${JPEG_VOLUME_FORMAT}', got ${JSON.stringify(json?.['format'])}`);
  }
  if (json['version'] !== JPEG_VOLUME_VERSION) {
    throw new Error(`${field}: version must be ${JPEG_VOLUME_VERSION}, got ${JSON.stringify(json['version'])}; make the JPEG volume again or update ct-lite`);
  }
  const shape = triple(json['shape'], (size) => Number.isInteger(size) && size >= 1 && size <= MAX_SIDE);
  if (!shape || voxelCount(shape) > MAX_VOXELS) {
    throw new Error(`${field}: shape must be three sizes of 1 to ${MAX_SIDE}, ${MAX_VOXELS} voxels at most, got ${JSON.stringify(json['shape'])}`);
  }
  const spacingMm = triple(json['spacingMm'], (size) => Number.isFinite(size) && size > 0);
  if (!spacingMm) throw new Error(`${field}: spacingMm must be three positive numbers, got ${JSON.stringify(json['spacingMm'])}`);
  const window = json['window'];
  if (!Array.isArray(window) || window.length !== 2 || !window.every(Number.isFinite) || !(window[0] < window[1])) {
    throw new Error(`${field}: window must be two rising HU, got ${JSON.stringify(window)}`);
  }
  if (json['orientation'] !== ORIENTATION) {
    throw new Error(`${field}: orientation must be '${ORIENTATION}', got ${JSON.stringify(json['orientation'])}`);
  }
  const quality = json['quality'];
  if (typeof quality !== 'number' || !(quality >= 1 && quality <= 100)) {
    throw new Error(`${field}: quality must be 1 to 100, got ${JSON.stringify(quality)}`);
  }
  const source = typeof json['source'] === 'string' ? json['source'] : '';
  return { shape, spacingMm, window: [window[0], window[1]], quality, orientation: ORIENTATION, source };
}

function triple(value: unknown, valid: (size: number) => boolean): Size3 | null {
  return Array.isArray(value) && value.length === 3 && value.every((size) => typeof size === 'number' && valid(size))
    ? (value as Size3)
    : null;
}
