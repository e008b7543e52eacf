/**
 * What a JPEG says of itself before any pixel is decoded: size, number of components, process. Reading it first keeps colour
 * pictures, X-rays and damaged files from being decoded, and bounds what decoding may allocate.
 * Source: ITU-T T.81, annex B (markers and frame header); T.87, annex C (JPEG-LS).
 */
export interface JpegHeader {
  width: number;
  height: number;
  /** 1 is grey, 3 colour. */
  components: number;
  bitsPerSample: number;
}

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
/** Baseline, extended sequential, progressive: Huffman-coded DCT, what every decoder reads. */
const READABLE_FRAMES = new Set([0xc0, 0xc1, 0xc2]);
/** C4 (Huffman table), C8 (reserved) and CC (arithmetic table) lie among the frame markers and are none. */
const NOT_A_FRAME = new Set([0xc4, 0xc8, 0xcc]);
const JPEG_LS_FRAME = 0xf7;

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0xff && bytes[1] === SOI && bytes[2] === 0xff;
}

export interface JpegFrame extends JpegHeader {
  /** Second byte of the frame's marker: C0 baseline, C3 lossless, F7 JPEG-LS. */
  marker: number;
}

/** @throws `where: …` where the bytes are no complete JPEG, or one of a lossless or arithmetic process. */
export function readJpegHeader(bytes: Uint8Array, where: string): JpegHeader {
  const { marker, ...header } = readJpegFrame(bytes, where);
  if (READABLE_FRAMES.has(marker)) return header;
  throw new Error(`${where}: only baseline and progressive JPEG are read, got a lossless or arithmetic one (marker FF${marker.toString(16).toUpperCase()})`);
}

/** The frame header whatever its process, JPEG-LS included. @throws `where: …` where the bytes are no complete JPEG. */
export function readJpegFrame(bytes: Uint8Array, where: string): JpegFrame {
  if (!isJpeg(bytes)) throw new Error(`${where}: not a JPEG`);
  // The decoder fills what is missing with grey and says nothing, so the end mark is asked for here.
  if (!endsWithMark(bytes)) throw new Error(`${where}: the JPEG is truncated (no end mark); make or copy it again`);
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) break;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (marker === SOS || length < 2) break;
    if (marker === JPEG_LS_FRAME || (marker >= 0xc0 && marker <= 0xcf && !NOT_A_FRAME.has(marker))) return readFrame(bytes, at, marker, length, where);
    at += 2 + length;
  }
  throw new Error(`${where}: the JPEG is damaged (no frame header before its data); make or copy it again`);
}

function readFrame(bytes: Uint8Array, at: number, marker: number, length: number, where: string): JpegFrame {
  if (length < 8 || at + 2 + length > bytes.length) throw new Error(`${where}: the JPEG is damaged (short frame header)`);
  const header = {
    marker,
    bitsPerSample: bytes[at + 4]!,
    height: (bytes[at + 5]! << 8) | bytes[at + 6]!,
    width: (bytes[at + 7]! << 8) | bytes[at + 8]!,
    components: bytes[at + 9]!,
  };
  if (header.width < 1 || header.height < 1) throw new Error(`${where}: the JPEG is damaged (size ${header.width} × ${header.height})`);
  return header;
}

function endsWithMark(bytes: Uint8Array): boolean {
  // Cameras and archives pad with zeros after the end mark.
  let end = bytes.length;
  while (end > 2 && bytes[end - 1] === 0) end--;
  return bytes[end - 2] === 0xff && bytes[end - 1] === EOI;
}
