/**
 * Compressed frames to samples: JPEG 2000 (OpenJPEG), HTJ2K (OpenJPH) and JPEG-LS (CharLS) in WebAssembly, lossless JPEG
 * (`jpeg-lossless-decoder-js`), 8-bit JPEG (the MozJPEG that the JPEG volumes use too). Before any of them sees a frame, its
 * own header is read and compared with the DICOM header: a frame of another size is refused and nothing is allocated for it.
 */
// @ts-expect-error the package names declarations that it does not carry
import * as losslessJpeg from 'jpeg-lossless-decoder-js';
import { decodeGreyJpeg } from '../jpeg-codec.ts';
import { readJpegFrame } from '../jpeg-header.ts';
import { readCodestream } from './codestream.ts';
import type { FrameCoding } from './transfer-syntax.ts';

export type WasmCodec = 'openjpeg' | 'openjph' | 'charls';

/** A decoder class as Emscripten exposes it. */
interface WasmDecoder {
  getEncodedBuffer(bytes: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number; isSigned?: boolean };
  delete(): void;
}
/** The instantiated module of one of the `@cornerstonejs/codec-…` packages. */
export type WasmCodecModule = Partial<Record<'J2KDecoder' | 'HTJ2KDecoder' | 'JpegLSDecoder', new () => WasmDecoder>>;
/** Gives a fresh instance of a codec: called again after a frame has thrown in it. */
export type WasmCodecLoader = (codec: WasmCodec) => Promise<WasmCodecModule>;

export interface FrameSize {
  rows: number;
  columns: number;
}

/** Samples right-aligned in their words; the sign is the DICOM header's business. */
export type Samples = Uint8Array | Uint16Array;

const DECODERS = {
  'jpeg-2000': { codec: 'openjpeg', decoder: 'J2KDecoder', name: 'JPEG 2000' },
  htj2k: { codec: 'openjph', decoder: 'HTJ2KDecoder', name: 'HTJ2K' },
  'jpeg-ls': { codec: 'charls', decoder: 'JpegLSDecoder', name: 'JPEG-LS' },
} as const;

const END_OF_IMAGE = 0xd9;
const READ_AHEAD_BYTES = 4;

let loader: WasmCodecLoader | undefined;
const modules = new Map<WasmCodec, Promise<WasmCodecModule>>();

/** Says where the WebAssembly codecs come from (src/platform/node-dicom-codecs.ts). Nothing is loaded before the first frame. */
export function initDicomCodecs(load: WasmCodecLoader): void {
  loader = load;
  modules.clear();
}

/** @throws `where: …` for a frame that is damaged, cut, or not the size that the DICOM header says. */
export async function decodeFrame(coding: Exclude<FrameCoding, 'native' | 'rle'>, frame: Uint8Array, size: FrameSize, where: string): Promise<Samples> {
  const bytes = trimmed(frame, where);
  if (coding === 'jpeg-8bit') return decodeBaseline(bytes, size, where);
  if (coding === 'jpeg-lossless') return decodeLossless(bytes, size, where);
  const start = coding === 'jpeg-ls' ? checkJpeg(bytes, size, where, 0xf7) : checkCodestream(bytes, size, where);
  return decodeInWasm(coding, bytes.subarray(start), size, where);
}

/** Without the zero that fills up to an even length. All these formats end with the same mark. */
function trimmed(frame: Uint8Array, where: string): Uint8Array {
  let end = frame.length;
  while (end > 2 && frame[end - 1] !== END_OF_IMAGE && frame.length - end < 8) end--;
  if (end < 4 || frame[end - 2] !== 0xff || frame[end - 1] !== END_OF_IMAGE) {
    throw new Error(`${where}: the compressed frame is cut off (no end mark); copy or export the file again`);
  }
  return frame.subarray(0, end);
}

function requireSize(width: number, height: number, components: number, { rows, columns }: FrameSize, where: string): void {
  if (width !== columns || height !== rows || components !== 1) {
    throw new Error(`${where}: the compressed frame must be ${columns} × ${rows} grey pixels as its DICOM header says, got ${width} × ${height} with ${components} ${components === 1 ? 'component' : 'components'}; export the file again`);
  }
}

async function decodeBaseline(bytes: Uint8Array, size: FrameSize, where: string): Promise<Uint8Array> {
  const { bitsPerSample } = readJpegFrame(bytes, where);
  if (bitsPerSample !== 8) throw new Error(`${where}: JPEG extended with ${bitsPerSample} bits is not read; export the series as explicit little endian`);
  return (await decodeGreyJpeg(bytes, where, { width: size.columns, height: size.rows })).grey;
}

/** Compares the frame header of a JPEG or JPEG-LS of process `marker`, and gives where the picture starts. */
function checkJpeg(bytes: Uint8Array, size: FrameSize, where: string, marker: number): number {
  const header = readJpegFrame(bytes, where);
  if (header.marker !== marker) throw new Error(`${where}: the frame is of another JPEG process (marker FF${header.marker.toString(16).toUpperCase()}) than its transfer syntax says; export the file again`);
  requireSize(header.width, header.height, header.components, size, where);
  return 0;
}

function checkCodestream(bytes: Uint8Array, size: FrameSize, where: string): number {
  const { start, width, height, components } = readCodestream(bytes, where);
  requireSize(width, height, components, size, where);
  return start;
}

function decodeLossless(bytes: Uint8Array, size: FrameSize, where: string): Samples {
  checkJpeg(bytes, size, where, 0xc3);
  const { bitsPerSample } = readJpegFrame(bytes, where);
  let samples: ArrayLike<number>;
  let rowsDone: number;
  try {
    const decoder = new (losslessJpeg as LosslessJpeg).Decoder();
    // The decoder reads ahead, and drops the last sample where it meets the end mark doing so.
    const padded = new Uint8Array(bytes.length + READ_AHEAD_BYTES);
    padded.set(bytes.subarray(0, -2));
    padded.set(bytes.subarray(-2), padded.length - 2);
    samples = decoder.decode(padded.buffer, 0, padded.length, bitsPerSample <= 8 ? 1 : 2);
    rowsDone = decoder.yLoc;
  } catch (cause) {
    throw damaged(where, 'lossless JPEG', cause);
  }
  // It stops at any mark without a word and leaves the rest black.
  if (rowsDone !== size.rows || samples.length !== size.rows * size.columns) throw damaged(where, 'lossless JPEG', `it gives ${rowsDone} of ${size.rows} rows`);
  return samples as Samples;
}

interface LosslessJpeg {
  Decoder: new () => {
    /** Rows that are decoded so far. */
    yLoc: number;
    decode(buffer: ArrayBuffer, offset: number, length: number, bytesPerSample: number): Samples;
  };
}

async function decodeInWasm(coding: keyof typeof DECODERS, bytes: Uint8Array, size: FrameSize, where: string): Promise<Samples> {
  const { codec, decoder: className, name } = DECODERS[coding];
  if (!loader) throw new Error(`${where}: ${name} needs its decoder; call initDicomCodecs first`);
  let pending = modules.get(codec);
  if (!pending) modules.set(codec, (pending = loader(codec)));
  try {
    const decoder = new (await pending)[className]!();
    try {
      decoder.getEncodedBuffer(bytes.length).set(bytes);
      decoder.decode();
      const info = decoder.getFrameInfo();
      requireSize(info.width, info.height, info.componentCount, size, where);
      return copySamples(decoder.getDecodedBuffer(), size.rows * size.columns, info.bitsPerSample);
    } finally {
      decoder.delete();
    }
  } catch (cause) {
    // What an aborted instance holds is unknown: the next frame gets a fresh one.
    modules.delete(codec);
    if (cause instanceof Error && cause.message.startsWith(where)) throw cause;
    throw damaged(where, name, cause);
  }
}

/** Out of the codec's memory, which the next frame overwrites. */
function copySamples(decoded: Uint8Array, pixels: number, bits: number): Samples {
  const bytes = bits <= 8 ? 1 : 2;
  if (bits > 16 || decoded.length !== pixels * bytes) throw new Error(`it gives ${decoded.length} bytes of ${bits} bits`);
  const copy = new Uint8Array(decoded);
  return bytes === 1 ? copy : new Uint16Array(copy.buffer);
}

function damaged(where: string, name: string, cause: unknown): Error {
  // Emscripten throws numbers and objects of its own.
  const reason = cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : 'the decoder gave up';
  return new Error(`${where}: the ${name} frame is damaged (${reason.slice(0, 160)}); copy or export the file again`, { cause });
}
