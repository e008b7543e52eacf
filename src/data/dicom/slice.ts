/**
 * What a DICOM file says of its slices: geometry, series, and how stored values become HU. One slice for a classic CT image,
 * one for each frame of an enhanced (multi-frame) one. What is no CT slice is told by the reason to leave it out.
 *
 * Source: DICOM PS3.3 C.7.6.2 (plane), C.7.6.3 (pixels), C.8.2.1 (CT image), C.8.15.2 and C.7.6.16 (enhanced CT).
 */
import { items, numbers, text, texts, unsignedShort } from './dicom-file.ts';
import type { DataSet } from './dicom-file.ts';
import { requireSyntax } from './transfer-syntax.ts';
import type { FrameCoding } from './transfer-syntax.ts';
import type { Size3 } from '../volume.ts';

/** How samples lie in their words, and what they mean. */
export interface PixelLayout {
  coding: FrameCoding;
  bigEndian: boolean;
  bitsAllocated: 8 | 16;
  bitsStored: number;
  highBit: number;
  signed: boolean;
  frames: number;
  /** Stored values that mean "outside of the picture", first and last inclusive. */
  padding: [number, number] | null;
}

export interface DicomSlice {
  /** Index among the sources. */
  source: number;
  /** Frame in its file, from 0. */
  frame: number;
  /** What errors call it. */
  where: string;
  sopUid: string;
  seriesUid: string;
  studyUid: string;
  patientId: string;
  description: string;
  seriesNumber: number;
  /** Acquisition, phase and stack: what separates passes over the same positions within one series. */
  pass: string;
  imageType: string[];
  rows: number;
  columns: number;
  /** Centre of the first pixel in mm, LPS. */
  position: Size3;
  /** Unit vectors: along a row (columns rise) and down a column (rows rise), LPS. */
  rowDirection: Size3;
  columnDirection: Size3;
  /** mm between rows and between columns. */
  pixelSpacing: [number, number];
  thickness: number | null;
  spacingBetween: number | null;
  tiltDegrees: number;
  slope: number;
  intercept: number;
  /** Sentences about this slice's values, the same for all slices that have them. */
  remarks: string[];
  lossy: boolean;
  pixels: PixelLayout;
}

/** The slices of a file, or why it gives none, as words that follow "n files are". */
export type FileSlices = { slices: DicomSlice[] } | { dropped: string };

const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
const DIRECTORY = '1.2.840.10008.1.3.10';
const ENHANCED_CT = ['1.2.840.10008.5.1.4.1.1.2.1', '1.2.840.10008.5.1.4.1.1.2.2'];
const NO_SLICES = ['MIP', 'MINIP', 'MAXIMUM', 'MINIMUM', 'VOLUME', 'VRT', 'PROJECTION IMAGE', 'SCREEN SAVE', 'DOSE_INFO'];
const MAX_SIDE = 4096;
const MAX_FRAMES = 4096;
/** IOP is written with six digits and more: farther off it is no direction. */
const DIRECTION_TOLERANCE = 0.01;

export function readSlices(data: DataSet, source: number, where: string): FileSlices {
  const sopClass = text(data, 'x00080016') || text(data, 'x00020002');
  if (sopClass === DIRECTORY) return { dropped: 'directories (DICOMDIR)' };
  const modality = text(data, 'x00080060');
  if (modality !== 'CT') return { dropped: `not CT but ${modality.slice(0, 16) || 'without a modality'}` };
  if (sopClass === SECONDARY_CAPTURE || sopClass.startsWith(`${SECONDARY_CAPTURE}.`)) return { dropped: 'secondary captures' };
  if (!data.elements['x7fe00010']) return { dropped: 'without a picture' };
  const imageType = texts(data, 'x00080008').map((value) => value.toUpperCase());
  const unfit = unfitType(imageType);
  if (unfit) return { dropped: unfit };
  if ((unsignedShort(data, 'x00280002') ?? 1) !== 1) return { dropped: 'colour pictures' };
  return ENHANCED_CT.includes(sopClass) || data.elements['x52009230'] ? enhancedSlices(data, source, where, imageType) : classicSlice(data, source, where, imageType);
}

function unfitType(imageType: readonly string[]): string | null {
  if (imageType.some((value) => value.startsWith('LOCALIZER') || value === 'SCOUT' || value === 'TOPOGRAM')) return 'localisers';
  return imageType.some((value) => NO_SLICES.includes(value)) ? 'projections, renderings or reports' : null;
}

function classicSlice(data: DataSet, source: number, where: string, imageType: string[]): FileSlices {
  if (!data.elements['x00200032'] || !data.elements['x00200037']) return { dropped: 'without a position in space' };
  const frames = numbers(data, 'x00280008', 1, where, 'NumberOfFrames')?.[0] ?? 1;
  if (frames !== 1) throw new Error(`${where}: a CT image of ${frames} frames must be an Enhanced CT; export the series as single slices`);
  const slice = describe(data, [data], { source, frame: 0, frames, where, imageType });
  return { slices: [slice] };
}

function enhancedSlices(data: DataSet, source: number, where: string, imageType: string[]): FileSlices {
  const shared = items(data, 'x52009229')[0];
  const perFrame = items(data, 'x52009230');
  const frames = numbers(data, 'x00280008', 1, where, 'NumberOfFrames')?.[0] ?? 1;
  if (frames !== perFrame.length || frames < 1 || frames > MAX_FRAMES) {
    throw new Error(`${where}: an Enhanced CT describes each of 1 to ${MAX_FRAMES} frames, got ${perFrame.length} descriptions of ${frames} frames; export the series again`);
  }
  const slices: DicomSlice[] = [];
  const reasons = new Set<string>();
  perFrame.forEach((group, frame) => {
    const groups = [...(shared ? [group, shared] : [group])].flatMap((each) => FUNCTIONAL_GROUPS.flatMap((tag) => items(each, tag).slice(0, 1)));
    const layers = [...groups, data];
    const frameType = texts(first(layers, 'x00089007') ?? data, 'x00089007').map((value) => value.toUpperCase());
    const unfit = unfitType(frameType) ?? (first(layers, 'x00200032') && first(layers, 'x00200037') ? null : 'without a position in space');
    if (unfit) reasons.add(unfit);
    else slices.push(describe(data, layers, { source, frame, frames, where: `${where}, frame ${frame + 1}`, imageType }));
  });
  return slices.length > 0 ? { slices } : { dropped: [...reasons].join(', ') };
}

/** Plane position, plane orientation, pixel measures, value transformation, frame content, CT frame type, CT geometry. */
const FUNCTIONAL_GROUPS = ['x00209113', 'x00209116', 'x00289110', 'x00289145', 'x00209111', 'x00189329', 'x00189304'];

/** The first layer that has the tag: a frame's own value stands before the shared one. */
const first = (layers: readonly DataSet[], tag: string): DataSet | undefined => layers.find((layer) => (layer.elements[tag]?.length ?? 0) > 0);

interface Frame {
  source: number;
  frame: number;
  frames: number;
  where: string;
  imageType: string[];
}

function describe(data: DataSet, layers: readonly DataSet[], { source, frame, frames, where, imageType }: Frame): DicomSlice {
  const read = (tag: string, count: number, what: string): number[] | null => {
    const layer = first(layers, tag);
    return layer ? numbers(layer, tag, count, where, what) : null;
  };
  const one = (tag: string, what: string): number | null => read(tag, 1, what)?.[0] ?? null;
  const rows = requireSide(data, 'x00280010', 'Rows', where);
  const columns = requireSide(data, 'x00280011', 'Columns', where);
  const pixelSpacing = read('x00280030', 2, 'PixelSpacing');
  if (!pixelSpacing || !pixelSpacing.every((size) => size > 0)) {
    throw new Error(`${where}: PixelSpacing must be two positive numbers, got ${pixelSpacing?.join('\\') ?? 'none'}; export the series again`);
  }
  const position = read('x00200032', 3, 'ImagePositionPatient');
  const directions = read('x00200037', 6, 'ImageOrientationPatient');
  const [rowDirection, columnDirection] = requireDirections(directions, where);
  const remarks: string[] = [];
  const { slope, intercept } = rescale(data, layers, one, where, remarks);
  const contents = first(layers, 'x00209056') ?? first(layers, 'x00209128');
  const syntax = requireSyntax(text(data, 'x00020010'), where);
  return {
    source, frame, where, imageType, rows, columns, rowDirection, columnDirection, slope, intercept, remarks,
    sopUid: text(data, 'x00080018'),
    seriesUid: text(data, 'x0020000e'),
    studyUid: text(data, 'x0020000d'),
    patientId: text(data, 'x00100020'),
    description: text(data, 'x0008103e'),
    seriesNumber: Number(text(data, 'x00200011')) || 0,
    pass: [text(data, 'x00200012'), contents ? text(contents, 'x00209056') : '', contents?.uint32('x00209128') ?? ''].join('/'),
    position: requirePosition(position, where),
    pixelSpacing: [pixelSpacing[0]!, pixelSpacing[1]!],
    thickness: one('x00180050', 'SliceThickness'),
    spacingBetween: one('x00180088', 'SpacingBetweenSlices'),
    tiltDegrees: one('x00181120', 'GantryDetectorTilt') ?? 0,
    lossy: syntax.lossy === true || text(data, 'x00282110') === '01',
    pixels: pixelLayout(data, syntax.coding, frames, where),
  };
}

function requireSide(data: DataSet, tag: string, what: string, where: string): number {
  const size = unsignedShort(data, tag) ?? 0;
  if (size >= 1 && size <= MAX_SIDE) return size;
  throw new Error(`${where}: ${what} must be 1 to ${MAX_SIDE}, got ${size}; export the series again`);
}

function requirePosition(position: number[] | null, where: string): Size3 {
  if (position && position.every((value) => Math.abs(value) < 1e5)) return position as Size3;
  throw new Error(`${where}: ImagePositionPatient must be three numbers in mm, got ${position?.join('\\') ?? 'none'}; export the series again`);
}

function requireDirections(values: number[] | null, where: string): [Size3, Size3] {
  const [row, column] = [(values ?? []).slice(0, 3), (values ?? []).slice(3, 6)] as [Size3, Size3];
  const sound = values !== null && [Math.hypot(...row) - 1, Math.hypot(...column) - 1, dot(row, column)].every((error) => Math.abs(error) < DIRECTION_TOLERANCE);
  if (sound) return [unit(row), unit(column)];
  throw new Error(`${where}: ImageOrientationPatient must be two directions at right angles, got ${values?.join('\\') ?? 'none'}; export the series again`);
}

export const dot = (a: Size3, b: Size3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

const unit = (vector: Size3): Size3 => vector.map((value) => value / Math.hypot(...vector)) as Size3;

function rescale(data: DataSet, layers: readonly DataSet[], one: (tag: string, what: string) => number | null, where: string, remarks: string[]): { slope: number; intercept: number } {
  if (items(data, 'x00283000').length > 0) throw new Error(`${where}: HU by a lookup table (Modality LUT) are not read; export the series with RescaleSlope and RescaleIntercept`);
  const slope = one('x00281053', 'RescaleSlope');
  const intercept = one('x00281052', 'RescaleIntercept');
  if (slope !== null && !(slope > 0)) throw new Error(`${where}: RescaleSlope must be positive, got ${slope}; export the series again`);
  if (slope === null || intercept === null) remarks.push(`${slope === null ? 'RescaleSlope' : 'RescaleIntercept'} is missing, ${slope === null ? 1 : 0} is assumed; check the HU`);
  const layer = first(layers, 'x00281054');
  const type = layer ? text(layer, 'x00281054') : '';
  if (type !== '' && type !== 'HU') remarks.push(`the values' unit is given as '${type.slice(0, 16)}', not HU`);
  return { slope: slope ?? 1, intercept: intercept ?? 0 };
}

function pixelLayout(data: DataSet, coding: FrameCoding, frames: number, where: string): PixelLayout {
  const bitsAllocated = unsignedShort(data, 'x00280100') ?? 0;
  if (bitsAllocated !== 8 && bitsAllocated !== 16) throw new Error(`${where}: BitsAllocated must be 8 or 16, got ${bitsAllocated}; export the series with 16 bits`);
  const bitsStored = unsignedShort(data, 'x00280101') ?? bitsAllocated;
  const highBit = unsignedShort(data, 'x00280102') ?? bitsStored - 1;
  if (bitsStored < 1 || bitsStored > bitsAllocated || highBit < bitsStored - 1 || highBit >= bitsAllocated) {
    throw new Error(`${where}: BitsStored ${bitsStored} and HighBit ${highBit} do not fit into BitsAllocated ${bitsAllocated}; export the series again`);
  }
  const signed = unsignedShort(data, 'x00280103') === 1;
  // The standard gives these two the sign of the pixels, whatever their own representation says.
  const stored = (tag: string): number | undefined => {
    const value = unsignedShort(data, tag);
    return value !== undefined && signed && value > 0x7fff ? value - 0x10000 : value;
  };
  const padding = stored('x00280120');
  const limit = stored('x00280121') ?? padding;
  // The swap is the parser's: it has set the byte order of the data set.
  const bigEndian = text(data, 'x00020010') === '1.2.840.10008.1.2.2';
  return {
    coding, bigEndian, bitsAllocated, bitsStored, highBit, signed, frames,
    padding: padding === undefined ? null : [Math.min(padding, limit!), Math.max(padding, limit!)],
  };
}
