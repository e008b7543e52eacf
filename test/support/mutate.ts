/** Seeded damage to files, for fuzzing: the same seed gives the same file. */
import { randomNumbers } from '../unit/data/volumes.ts';

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/**
 * One to four damages, each at a random place, one in two of them within the first kilobyte, where headers are: a changed byte
 * or bit, an extreme 16- or 32-bit number, a run of one byte, a piece cut out, doubled or moved, the end cut off, bytes added.
 */
export function mutate(file: Uint8Array, seed: number): Uint8Array {
  const random = randomNumbers(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  let bytes = new Uint8Array(file);
  for (let left = 1 + below(4); left > 0 && bytes.length > 8; left--) {
    const at = below(random() < 0.5 ? Math.min(1024, bytes.length) : bytes.length);
    const length = 1 + below(Math.min(64, bytes.length - at));
    const view = new DataView(bytes.buffer);
    switch (below(9)) {
      case 0: bytes[at] = below(256); break;
      case 1: bytes[at]! ^= 1 << below(8); break;
      case 2: if (at + 2 <= bytes.length) view.setUint16(at, EXTREMES[below(EXTREMES.length)]! & 0xffff, random() < 0.7); break;
      case 3: if (at + 4 <= bytes.length) view.setUint32(at, EXTREMES[below(EXTREMES.length)]!, random() < 0.7); break;
      case 4: bytes.fill(random() < 0.5 ? 0 : 255, at, at + length); break;
      case 5: bytes = splice(bytes, at, length, new Uint8Array(0)); break;
      case 6: bytes = splice(bytes, at, 0, bytes.slice(at, at + length)); break;
      case 7: bytes = bytes.slice(0, random() < 0.5 ? at : bytes.length - length); break;
      default: bytes = splice(bytes, below(bytes.length), 0, bytes.slice(at, at + length));
    }
  }
  return bytes;
}

function splice(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length - removed + added.length);
  out.set(bytes.subarray(0, at));
  out.set(added, at);
  out.set(bytes.subarray(at + removed), at + added.length);
  return out;
}
