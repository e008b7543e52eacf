/** Encoders of two lossless frame formats that no installed package writes: RLE (PS3.5 annex G) and lossless JPEG (T.81 annex H). */

/** Two segments of PackBits, high bytes first; runs from three equal bytes on. */
export function encodeRle(littleEndianWords: Uint8Array): Uint8Array {
  const plane = (offset: number): Uint8Array => littleEndianWords.filter((_, i) => i % 2 === offset);
  const segments = [packBits(plane(1)), packBits(plane(0))];
  const out = new Uint8Array(64 + segments[0]!.length + segments[1]!.length);
  new DataView(out.buffer).setUint32(0, 2, true);
  new DataView(out.buffer).setUint32(4, 64, true);
  new DataView(out.buffer).setUint32(8, 64 + segments[0]!.length, true);
  out.set(segments[0]!, 64);
  out.set(segments[1]!, 64 + segments[0]!.length);
  return out;
}

function packBits(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    let run = 1;
    while (run < 128 && bytes[at + run] === bytes[at]) run++;
    if (run >= 3) {
      out.push(257 - run, bytes[at]!);
      at += run;
      continue;
    }
    let literal = 1;
    while (literal < 128 && at + literal < bytes.length && !(bytes[at + literal] === bytes[at + literal + 1] && bytes[at + literal] === bytes[at + literal + 2])) literal++;
    out.push(literal - 1, ...bytes.subarray(at, at + literal));
    at += literal;
  }
  if (out.length % 2) out.push(128);
  return Uint8Array.from(out);
}

/** @param selection predictor: 1 left, 4 left + above - above left. One table: the code of category c is c in five bits. */
export function encodeLosslessJpeg(values: readonly number[], width: number, bits: number, selection: 1 | 4): Uint8Array {
  const height = values.length / width;
  const short = (value: number): number[] => [value >> 8, value & 255];
  const categories = Array.from({ length: 17 }, (_, category) => category);
  const head = [
    0xff, 0xd8,
    0xff, 0xc3, ...short(11), bits, ...short(height), ...short(width), 1, 1, 0x11, 0,
    0xff, 0xc4, ...short(19 + 17), 0, 0, 0, 0, 0, 17, ...new Array<number>(11).fill(0), ...categories,
    0xff, 0xda, ...short(8), 1, 1, 0, selection, 0, 0,
  ];
  const at = (x: number, y: number): number => values[y * width + x]! & 0xffff;
  let bitText = '';
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const above = selection === 1 || x === 0 ? null : at(x - 1, y) + at(x, y - 1) - at(x - 1, y - 1);
      const predicted = y === 0 ? (x === 0 ? 2 ** (bits - 1) : at(x - 1, y)) : x === 0 ? at(x, y - 1) : (above ?? at(x - 1, y));
      // Differences are modulo 2^16.
      let difference = (at(x, y) - predicted) & 0xffff;
      if (difference > 0x7fff) difference -= 0x10000;
      const category = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1;
      bitText += category.toString(2).padStart(5, '0');
      if (category > 0 && category < 16) bitText += (difference > 0 ? difference : difference + 2 ** category - 1).toString(2).padStart(category, '0');
    }
  }
  bitText += '1'.repeat((8 - (bitText.length % 8)) % 8);
  const data = bitText.match(/.{8}/g)!.map((byte) => parseInt(byte, 2)).flatMap((byte) => (byte === 0xff ? [0xff, 0] : [byte]));
  return Uint8Array.from([...head, ...data, 0xff, 0xd9]);
}
