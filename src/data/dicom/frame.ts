/** A slice's stored values to HU. Source: DICOM PS3.5 section 8 and annex A.4 (fragments), PS3.3 C.7.5.1.1.2 (padding). */
import { PADDING_REPLACEMENT_HU } from '../hounsfield.ts';
import { decodeFrame } from './codecs.ts';
import type { Samples } from './codecs.ts';
import type { DataSet } from './dicom-file.ts';
import { decodeRle } from './rle.ts';
import type { DicomSlice } from './slice.ts';

/** Padding that means more than this may as well be anatomy: it is left as it is. */
const MAX_PADDING_HU = -800;

/**
 * HU = value·slope + intercept of one slice, [rows, columns]; padding values of the header become -1024 HU.
 * @throws `where: …` where the pixels are cut off or damaged.
 */
export async function readHu(data: DataSet, slice: DicomSlice): Promise<Float32Array> {
  const samples = await readSamples(data, slice);
  return toHu(samples, slice);
}

async function readSamples(data: DataSet, slice: DicomSlice): Promise<Samples> {
  const { rows, columns, where, pixels } = slice;
  const count = rows * columns;
  if (pixels.coding === 'native') return nativeSamples(data, slice, count);
  const frame = encapsulatedFrame(data, slice);
  if (pixels.coding !== 'rle') return decodeFrame(pixels.coding, frame, { rows, columns }, where);
  const bytes = decodeRle(frame, count, pixels.bitsAllocated / 8, where);
  return pixels.bitsAllocated === 8 ? bytes : new Uint16Array(bytes.buffer);
}

function nativeSamples(data: DataSet, { where, frame, pixels }: DicomSlice, count: number): Samples {
  const element = data.elements['x7fe00010']!;
  const bytes = count * (pixels.bitsAllocated / 8);
  const start = element.dataOffset + frame * bytes;
  const end = Math.min(element.dataOffset + element.length, data.byteArray.length);
  if (element.fragments || element.length < pixels.frames * bytes || start + bytes > end) {
    throw new Error(`${where}: PixelData must hold ${pixels.frames * bytes} bytes, got ${element.fragments ? 'fragments of a compressed picture' : Math.max(0, end - element.dataOffset)}; copy or export the file again`);
  }
  const stored = new Uint8Array(data.byteArray.subarray(start, start + bytes));
  if (pixels.bitsAllocated === 8) return stored;
  const samples = new Uint16Array(stored.buffer);
  if (pixels.bigEndian) for (let i = 0; i < count; i++) samples[i] = (samples[i]! << 8) | (samples[i]! >> 8);
  return samples;
}

/** The bytes of one frame: all fragments of a single frame, one fragment a frame, or as the offset table says. */
function encapsulatedFrame(data: DataSet, { where, frame, pixels: { frames } }: DicomSlice): Uint8Array {
  const { fragments, basicOffsetTable: offsets = [] } = data.elements['x7fe00010']!;
  if (!fragments || fragments.length === 0) throw new Error(`${where}: the compressed PixelData has no fragments; copy or export the file again`);
  let own = fragments;
  if (frames > 1 && fragments.length === frames) own = fragments.slice(frame, frame + 1);
  else if (frames > 1) {
    if (offsets.length !== frames) throw new Error(`${where}: ${fragments.length} fragments of ${frames} frames need an offset table; export the series as single slices`);
    own = fragments.filter(({ offset }) => offset >= offsets[frame]! && offset < (offsets[frame + 1] ?? Infinity));
  }
  const parts = own.map(({ position, length }) => data.byteArray.subarray(position, position + length));
  if (parts.length === 0 || parts.some((part, index) => part.length !== own[index]!.length)) throw new Error(`${where}: the compressed frame is cut off; copy or export the file again`);
  if (parts.length === 1) return parts[0]!;
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function toHu(samples: Samples, slice: DicomSlice): Float32Array {
  const { slope, intercept, pixels } = slice;
  const { bitsStored, highBit, signed, coding } = pixels;
  // Decoders give samples at the low end of their words, wherever the high bit once was.
  const shift = coding === 'native' || coding === 'rle' ? highBit + 1 - bitsStored : 0;
  const mask = 2 ** bitsStored - 1;
  const sign = signed ? 2 ** (bitsStored - 1) : 2 ** bitsStored;
  const padding = usablePadding(slice);
  // Scanners pad with whole words that do not fit into the stored bits, so the word is compared before it is cut.
  const paddingWord = padding ? padding[0] & 0xffff : -1;
  const [low, high] = padding ?? [Infinity, -Infinity];
  const hu = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const word = samples[i]!;
    const bits = (word >> shift) & mask;
    const value = bits >= sign ? bits - 2 * sign : bits;
    hu[i] = word === paddingWord || (value >= low && value <= high) ? PADDING_REPLACEMENT_HU : value * slope + intercept;
  }
  return hu;
}

/**
 * Null where the padding would lie among tissue: some writers name a value that occurs in the picture. One that does not fit
 * into the stored bits cannot.
 */
function usablePadding({ slope, intercept, pixels: { padding, signed, bitsStored } }: DicomSlice): [number, number] | null {
  if (!padding) return null;
  const beyond = padding[0] >= 2 ** (signed ? bitsStored - 1 : bitsStored);
  return beyond || padding[1] * slope + intercept <= MAX_PADDING_HU ? padding : null;
}

/** A sentence where the header's padding is not believed. */
export function paddingRemark(slice: DicomSlice): string[] {
  const { slope, intercept, pixels: { padding } } = slice;
  if (!padding || usablePadding(slice)) return [];
  return [`PixelPaddingValue ${padding[0]} means ${Math.round(padding[0] * slope + intercept)} HU, which tissue may have: such voxels are left as they are`];
}
