/**
 * DICOM RLE lossless: a frame is up to 15 segments of PackBits, one for each byte of a sample, the most significant first.
 * Source: DICOM PS3.5 annex G.
 */
const HEADER_BYTES = 64;
const MAX_SEGMENTS = 15;
/** Two packed bytes give 128 at most. */
const MAX_RATIO = 64;

/**
 * @param bytesPerSample 1 or 2: as many segments must be there.
 * @returns `pixels` samples as little-endian bytes.
 * @throws `where: …` where the frame breaks off or its segments do not fit the picture.
 */
export function decodeRle(frame: Uint8Array, pixels: number, bytesPerSample: number, where: string): Uint8Array {
  const fail = (reason: string): Error => new Error(`${where}: the RLE frame is damaged (${reason}); copy or export the file again`);
  if (frame.length < HEADER_BYTES) throw fail('its header breaks off');
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const segments = view.getUint32(0, true);
  if (segments !== bytesPerSample || segments > MAX_SEGMENTS) throw fail(`it has ${segments} segments, not ${bytesPerSample}`);
  if (pixels * bytesPerSample > frame.length * MAX_RATIO) throw fail(`${frame.length} bytes cannot hold ${pixels} pixels`);
  const out = new Uint8Array(pixels * bytesPerSample);
  for (let segment = 0; segment < segments; segment++) {
    const start = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < segments ? view.getUint32(8 + 4 * segment, true) : frame.length;
    if (start < HEADER_BYTES || end > frame.length || start > end) throw fail('a segment lies outside of it');
    const filled = unpackBits(frame.subarray(start, end), out, bytesPerSample - 1 - segment, bytesPerSample);
    if (filled < pixels) throw fail(`a segment gives ${filled} of ${pixels} bytes`);
  }
  return out;
}

/** Writes every `step`-th byte from `at` on, and gives how many; what follows the last pixel is padding. */
function unpackBits(packed: Uint8Array, out: Uint8Array, at: number, step: number): number {
  const first = at;
  for (let read = 0; read < packed.length && at < out.length; ) {
    const control = packed[read++]!;
    if (control === 128) continue;
    const literal = control < 128;
    const count = literal ? control + 1 : 257 - control;
    for (let i = 0; i < count && at < out.length && read < packed.length; i++, at += step) {
      out[at] = packed[read]!;
      if (literal) read++;
    }
    if (!literal) read++;
  }
  return (at - first) / step;
}
