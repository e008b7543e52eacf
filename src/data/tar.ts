/**
 * Tar archives (POSIX ustar with pax paths), as far as WebDataset shards need them: headers to write, and an index of where each
 * file lies, so that a sample is read by its offset and nothing else of the archive is.
 *
 * Written here since the packages for it stream whole archives and give no offsets.
 */
const BLOCK = 512;
/** More than an id and an ending ever need; a larger one is damage. */
const MAX_PAX_BYTES = 65536;
const WINDOW_BYTES = 8192;

export interface TarEntry {
  name: string;
  /** Where the file's content begins in the archive, and its size. */
  offset: number;
  bytes: number;
}

/** Header of a file, of the same bytes for the same name and size; names above 100 bytes get a pax header before it. */
export function tarHeader(name: string, bytes: number): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length <= 100) return header(encoded, bytes, '0');
  const record = paxRecord('path', name);
  const pax = header(new TextEncoder().encode('PaxHeader'), record.length, 'x');
  return joined(pax, record, tarPadding(record.length), header(encoded.subarray(0, 100), bytes, '0'));
}

/** Zeros after a file's content, up to the next block. */
export function tarPadding(bytes: number): Uint8Array {
  return new Uint8Array((BLOCK - (bytes % BLOCK)) % BLOCK);
}

/** The end of an archive: two blocks of zeros. */
export const tarEnd = (): Uint8Array => new Uint8Array(2 * BLOCK);

function header(name: Uint8Array, bytes: number, type: '0' | 'x'): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number): void => block.set(new TextEncoder().encode(text), at);
  block.set(name, 0);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(`${bytes.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  put('        ', 148);
  put(type, 156);
  put('ustar\u000000', 257);
  put(`${block.reduce((sum, value) => sum + value, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** "LENGTH key=value\n", where LENGTH counts itself. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = new TextEncoder().encode(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return joined(new TextEncoder().encode(String(length)), rest);
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Reads up to `bytes` bytes from `offset`; fewer at the end of the file. */
export type ReadPart = (offset: number, bytes: number) => Promise<Uint8Array>;

/**
 * The regular files of an archive in their order; folders and links are passed over.
 * @throws `readTar: where: …` where the archive is cut, a checksum is wrong, or a header asks for what cannot be
 */
export async function* readTar(read: ReadPart, where: string): AsyncGenerator<TarEntry, void, undefined> {
  const blockAt = windowed(read);
  let paxName: string | null = null;
  let first = true;
  for (let at = 0; ; ) {
    const block = await blockAt(at);
    if (block.length < BLOCK) throw new Error(`readTar: ${where}: the archive breaks off after ${at + block.length} bytes; copy it again or make the shard again`);
    if (block.every((value) => value === 0)) return;
    checkHeader(block, where, first);
    first = false;
    const bytes = sizeOf(block, where);
    const offset = at + BLOCK;
    at = offset + bytes + tarPadding(bytes).length;
    const type = String.fromCharCode(block[156]!);
    if (type === 'x' || type === 'L') {
      if (bytes > MAX_PAX_BYTES) throw new Error(`readTar: ${where}: a name of ${bytes} bytes cannot be; the archive is damaged, make it again`);
      const content = await read(offset, bytes);
      paxName = type === 'L' ? text(content) : (paxPath(content) ?? paxName);
    } else {
      const prefix = text(block.subarray(345, 500));
      const name = paxName ?? `${prefix && isUstar(block) ? `${prefix}/` : ''}${text(block.subarray(0, 100))}`;
      paxName = null;
      if (type === '0' || type === '\0') yield { name, offset, bytes };
    }
  }
}

/** Small files lie beside their headers, so that a few thousand bytes at once spare most reads. */
function windowed(read: ReadPart): (offset: number) => Promise<Uint8Array> {
  let [from, held] = [0, new Uint8Array(0)];
  return async (offset) => {
    if (offset < from || offset + BLOCK > from + held.length) [from, held] = [offset, Uint8Array.from(await read(offset, WINDOW_BYTES))];
    return held.subarray(offset - from, offset - from + BLOCK);
  };
}

function checkHeader(block: Uint8Array, where: string, first: boolean): void {
  const stated = parseInt(text(block.subarray(148, 156)), 8);
  const sum = block.reduce((total, value, at) => total + (at >= 148 && at < 156 ? 32 : value), 0);
  if (stated !== sum) throw new Error(`readTar: ${where}: ${first ? 'this is no tar archive' : 'a header is damaged (its checksum is wrong)'}; make the shard again`);
}

function sizeOf(block: Uint8Array, where: string): number {
  const field = block.subarray(124, 136);
  // GNU: sizes from 8 GiB on as a binary number, marked by the highest bit.
  const bytes = field[0]! & 0x80 ? field.subarray(4).reduce((value, byte) => value * 256 + byte, 0) : parseInt(text(field) || '0', 8);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new Error(`readTar: ${where}: a file's size is damaged; make the shard again`);
  return bytes;
}

function isUstar(block: Uint8Array): boolean {
  return text(block.subarray(257, 262)) === 'ustar' && block[262] === 0;
}

function paxPath(content: Uint8Array): string | null {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(content))?.[1] ?? null;
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).trim();
}
