/**
 * Gzip decompression with an output bound, so that neither a gzip bomb nor a header that lies about its size can allocate
 * without end. Synchronous, through fflate: the same in Node and in browsers.
 */
import { Gunzip } from 'fflate';
import { crc32 } from './crc32.ts';

/** Deflate cannot expand further than this (258 bytes from a 2-bit match): a larger promise is a lie or a truncated file. */
export const MAX_DEFLATE_RATIO = 1032;
/** Compressed bytes handed over at a time: bounds what a bomb inflates before it is noticed to 64 MiB. */
const INPUT_CHUNK = 65536;

export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Inflates only as many bytes as the file's own header asks for.
 *
 * @param headBytes how many bytes `bytesWanted` needs to see; a file that inflates to less is passed whole.
 * @param bytesWanted reads the inflated head and gives the total number of bytes wanted; its errors pass through.
 * @returns exactly the wanted bytes, from the start of the inflated file.
 * @throws where the gzip is truncated, damaged (structure or CRC-32), or smaller than the wanted size.
 */
export function gunzipBounded(
  bytes: Uint8Array,
  where: string,
  headBytes: number,
  bytesWanted: (head: Uint8Array) => number,
): Uint8Array {
  let head = new Uint8Array(0);
  let output: Uint8Array | null = null;
  let filled = 0;
  let overflow = false;
  let sizeError: unknown;

  const begin = (): void => {
    const wanted = bytesWanted(head);
    if (wanted > bytes.length * MAX_DEFLATE_RATIO) {
      throw new Error(
        `${where}: the header asks for ${wanted} bytes, more than a gzip of ${bytes.length} bytes can hold; the file is truncated or its header damaged, fetch it again`,
      );
    }
    output = new Uint8Array(wanted);
    filled = Math.min(head.length, wanted);
    output.set(head.subarray(0, filled));
    overflow = head.length > wanted;
  };

  const stream = new Gunzip((chunk) => {
    if (sizeError || overflow) return;
    if (output) {
      const room = output.length - filled;
      output.set(room < chunk.length ? chunk.subarray(0, room) : chunk, filled);
      filled += Math.min(room, chunk.length);
      overflow = chunk.length > room;
      return;
    }
    const grown = new Uint8Array(head.length + chunk.length);
    grown.set(head);
    grown.set(chunk, head.length);
    head = grown;
    if (head.length < headBytes) return;
    try {
      begin();
    } catch (error) {
      sizeError = error;
    }
  });

  const isFull = (): boolean => output !== null && filled === output.length;
  let damage: unknown;
  for (let at = 0; at < bytes.length && !overflow && !sizeError; at += INPUT_CHUNK) {
    const end = Math.min(at + INPUT_CHUNK, bytes.length);
    try {
      stream.push(bytes.subarray(at, end), end === bytes.length);
    } catch (error) {
      damage = error;
      break;
    }
  }
  if (sizeError) throw sizeError;
  if (!output && !damage) begin();
  if (!isFull()) throw incomplete(where, damage, filled || head.length, (output as Uint8Array | null)?.length);
  checkCrc(bytes, output!, where);
  return output!;
}

function incomplete(where: string, damage: unknown, got: number, wanted: number | undefined): Error {
  const reason = damage instanceof Error ? damage.message : '';
  const received = wanted === undefined ? `it breaks off after ${got} bytes` : `it gives ${got} of ${wanted} bytes`;
  const verdict = reason === '' || reason === 'unexpected EOF' ? 'the gzip is truncated' : `the gzip is damaged (${reason})`;
  return new Error(`${where}: ${verdict}: ${received}; copy or download the file again`);
}

/**
 * Only for a file of one member, whose last eight bytes are the CRC-32 and the size of the whole; for members or bytes that
 * follow there is no sum over what was read.
 */
function checkCrc(bytes: Uint8Array, output: Uint8Array, where: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(bytes.length - 4, true) !== output.length) return;
  if (view.getUint32(bytes.length - 8, true) === crc32(output)) return;
  throw new Error(`${where}: the gzip is damaged (its CRC-32 does not match its content); copy or download the file again`);
}
