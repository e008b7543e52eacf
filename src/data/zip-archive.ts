/**
 * ZIP archives read entry by entry: nothing is unpacked before it is asked for, sizes are checked against the archive and a
 * limit before anything is allocated, and every entry's CRC-32 is compared. No entry is ever written anywhere: names are labels.
 *
 * Directory by us, inflating by fflate: fflate's own `unzipSync` compares no CRC and holds all entries at once.
 * Source: APPNOTE.TXT 6.3.9, sections 4.3 (layout) and 4.5.3 (ZIP64 extra field).
 */
import { inflateSync } from 'fflate';
import { crc32 } from './crc32.ts';
import { MAX_DEFLATE_RATIO } from './gunzip.ts';

export interface ZipEntry {
  /** As the archive gives it: for people and for comparing, never a path to write to. */
  name: string;
  /** Uncompressed size in bytes, as the directory says. */
  bytes: number;
  /** @throws where the entry is encrypted, damaged, or of another compression than stored and deflate. */
  read(): Uint8Array;
}

export interface ZipLimits {
  entries: number;
  entryBytes: number;
}

const END_OF_DIRECTORY = 0x06054b50;
const END_OF_DIRECTORY_BYTES = 22;
const DIRECTORY_ENTRY = 0x02014b50;
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_HEADER = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;
const ZIP64_FIELD = 1;
const IN_ZIP64_FIELD = 0xffffffff;
const MAX_COMMENT_BYTES = 65535;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED_FLAG = 1;
/** Deflate's ratio holds for whole streams; a few bytes cannot be off by more than this. */
const RATIO_SLACK_BYTES = 1024;

export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

/**
 * Entries of the central directory, folders left out.
 * @throws `where: not a readable ZIP (…)` where the directory is missing, cut, or contradicts the archive.
 */
export function openZip(zip: Uint8Array, where: string, limits: ZipLimits): ZipEntry[] {
  const fail = (reason: string): Error => new Error(`${where}: not a readable ZIP (${reason}); copy or make the file again`);
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const end = findEnd(view, fail);
  const count = view.getUint16(end + 10, true);
  if (count > limits.entries) throw new Error(`${where}: at most ${limits.entries} entries are read, the ZIP has ${count}`);
  const entries: ZipEntry[] = [];
  let at = view.getUint32(end + 16, true);
  let packed = 0;
  for (let index = 0; index < count; index++) {
    if (at + DIRECTORY_ENTRY_BYTES > end || view.getUint32(at, true) !== DIRECTORY_ENTRY) throw fail(`its directory breaks off after ${index} of ${count} entries`);
    const nameEnd = at + DIRECTORY_ENTRY_BYTES + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    if (extraEnd > end) throw fail('an entry of its directory is longer than the directory');
    const name = new TextDecoder().decode(zip.subarray(at + DIRECTORY_ENTRY_BYTES, nameEnd));
    const record = readRecord(view, at, nameEnd, extraEnd);
    packed += record.packed;
    if (packed > zip.length) throw fail('its entries overlap or are cut off');
    if (!name.endsWith('/')) entries.push({ name, bytes: record.bytes, read: () => readEntry(zip, view, record, `${where}: ${label(name)}`, limits.entryBytes) });
    at = extraEnd + view.getUint16(at + 32, true);
  }
  return entries;
}

/** An entry's name as a message may show it. */
const label = (name: string): string => name.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 120);

function findEnd(view: DataView, fail: (reason: string) => Error): number {
  const first = Math.max(0, view.byteLength - END_OF_DIRECTORY_BYTES - MAX_COMMENT_BYTES);
  for (let at = view.byteLength - END_OF_DIRECTORY_BYTES; at >= first; at--) {
    if (view.getUint32(at, true) === END_OF_DIRECTORY) return at;
  }
  throw fail('it has no directory at its end: it is cut off or something else');
}

interface DirectoryRecord {
  encrypted: boolean;
  method: number;
  crc: number;
  packed: number;
  bytes: number;
  offset: number;
}

function readRecord(view: DataView, at: number, extraStart: number, extraEnd: number): DirectoryRecord {
  const record: DirectoryRecord = {
    encrypted: (view.getUint16(at + 8, true) & ENCRYPTED_FLAG) !== 0,
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    bytes: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 42, true),
  };
  // Some tools write ZIP64 fields into small archives too. In the field stand, in this order, those sizes that do not fit.
  for (let field = extraStart; field + 4 <= extraEnd; field += 4 + view.getUint16(field + 2, true)) {
    if (view.getUint16(field, true) !== ZIP64_FIELD) continue;
    let value = field + 4;
    for (const key of ['bytes', 'packed', 'offset'] as const) {
      if (record[key] !== IN_ZIP64_FIELD || value + 8 > extraEnd) continue;
      record[key] = Number(view.getBigUint64(value, true));
      value += 8;
    }
    break;
  }
  return record;
}

function readEntry(zip: Uint8Array, view: DataView, { encrypted, method, crc, packed, bytes, offset }: DirectoryRecord, where: string, limit: number): Uint8Array {
  const damaged = (reason: string): Error => new Error(`${where}: the entry is damaged (${reason}); copy or make the ZIP again`);
  if (encrypted) throw new Error(`${where}: the entry is encrypted; unpack the ZIP with its password and give the folder`);
  if (method !== STORED && method !== DEFLATED) throw new Error(`${where}: only stored and deflated entries are read, got compression method ${method}; unpack the ZIP and give the folder`);
  if (bytes > limit) throw new Error(`${where}: it says it has ${bytes} bytes, at most ${limit} are read`);
  if (method === STORED ? bytes !== packed : bytes > packed * MAX_DEFLATE_RATIO + RATIO_SLACK_BYTES) throw damaged(`${packed} bytes cannot hold ${bytes}`);
  if (offset + LOCAL_HEADER_BYTES > zip.length || view.getUint32(offset, true) !== LOCAL_HEADER) throw damaged('its place is wrong');
  const start = offset + LOCAL_HEADER_BYTES + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (start + packed > zip.length) throw damaged('it is cut off');
  const content = zip.subarray(start, start + packed);
  let data = content;
  if (method === DEFLATED) {
    try {
      data = inflateSync(content, { out: new Uint8Array(bytes) });
    } catch (cause) {
      throw new Error(damaged((cause as Error).message).message, { cause });
    }
  }
  if (data.length !== bytes || crc32(data) !== crc) throw damaged('its CRC-32 does not match its content');
  return data;
}
