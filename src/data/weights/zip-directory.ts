/**
 * The directory of a ZIP file, ZIP64 included (PKWARE APPNOTE 6.3), from a file of which only parts are read. For PyTorch's
 * checkpoints, whose entries are stored, not compressed: an entry is then a range of the file.
 */
import type { RandomAccess } from './random-access.ts';

export interface ZipEntry {
  name: string;
  /** Where the entry's local header starts. */
  headerOffset: number;
  bytes: number;
  /** 0 stored, 8 deflated … */
  method: number;
  encrypted: boolean;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const LOCATOR_SIGNATURE = 0x07064b50;
const LOCATOR_BYTES = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;
const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const ZIP64_EXTRA = 1;
const MAX_16 = 0xffff;
const MAX_32 = 0xffffffff;
/** A checkpoint of a hundred thousand tensors has a directory of about 10 MB. */
const DIRECTORY_LIMIT = 64 * 2 ** 20;

type Fail = (rule: string) => Error;

interface DirectoryPlace {
  offset: number;
  bytes: number;
  entries: number;
}

/** @param fail makes the error of a damaged file */
export async function readZipDirectory(access: RandomAccess, fail: Fail): Promise<Map<string, ZipEntry>> {
  const { offset, bytes, entries: count } = await findDirectory(access, fail);
  if (bytes > DIRECTORY_LIMIT) throw fail(`its ZIP directory may have ${DIRECTORY_LIMIT} bytes at most, the file says ${bytes}`);
  if (offset + bytes > access.byteLength) throw fail(`its ZIP directory lies at bytes ${offset} to ${offset + bytes}, the file has ${access.byteLength}`);
  if (count * ENTRY_BYTES > bytes) throw fail(`its ZIP directory of ${bytes} bytes cannot hold ${count} entries`);
  const directory = await access.read(offset, bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let index = 0; index < count; index++) {
    const { entry, end } = readEntry(directory, at, fail);
    if (entries.has(entry.name)) throw fail(`the ZIP entry ${JSON.stringify(entry.name)} stands twice`);
    entries.set(entry.name, entry);
    at = end;
  }
  return entries;
}

async function findDirectory(access: RandomAccess, fail: Fail): Promise<DirectoryPlace> {
  const tailBytes = Math.min(access.byteLength, END_BYTES + MAX_16 + LOCATOR_BYTES);
  const tailStart = access.byteLength - tailBytes;
  const tail = await access.read(tailStart, tailBytes);
  const view = viewOf(tail);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && !(view.getUint32(end, true) === END_SIGNATURE && end + END_BYTES + view.getUint16(end + 20, true) === tailBytes)) end--;
  if (end < 0) throw fail('it has no end of a ZIP directory: it was cut off');
  const place = { offset: view.getUint32(end + 16, true), bytes: view.getUint32(end + 12, true), entries: view.getUint16(end + 10, true) };
  const locator = end - LOCATOR_BYTES;
  const hasLocator = locator >= 0 && view.getUint32(locator, true) === LOCATOR_SIGNATURE;
  if (!hasLocator) return place;
  const end64Offset = safe(view.getBigUint64(locator + 8, true), fail);
  if (end64Offset + END64_BYTES > tailStart + locator) throw fail(`its ZIP64 record lies at byte ${end64Offset}, outside the file`);
  const record = viewOf(await access.read(end64Offset, END64_BYTES));
  if (record.getUint32(0, true) !== END64_SIGNATURE) throw fail(`there is no ZIP64 record at byte ${end64Offset}`);
  return { offset: safe(record.getBigUint64(48, true), fail), bytes: safe(record.getBigUint64(40, true), fail), entries: safe(record.getBigUint64(32, true), fail) };
}

function readEntry(directory: Uint8Array, at: number, fail: Fail): { entry: ZipEntry; end: number } {
  const view = viewOf(directory);
  if (at + ENTRY_BYTES > directory.length || view.getUint32(at, true) !== ENTRY_SIGNATURE) throw fail(`its ZIP directory has no entry at byte ${at}`);
  const [nameBytes, extraBytes, commentBytes] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
  const nameEnd = at + ENTRY_BYTES + nameBytes;
  const end = nameEnd + extraBytes + commentBytes;
  if (end > directory.length) throw fail(`the ZIP entry at byte ${at} of the directory runs past its end`);
  const fields = { uncompressed: view.getUint32(at + 24, true), compressed: view.getUint32(at + 20, true), offset: view.getUint32(at + 42, true) };
  readZip64Fields(directory.subarray(nameEnd, nameEnd + extraBytes), fields, fail);
  const method = view.getUint16(at + 10, true);
  const name = new TextDecoder().decode(directory.subarray(at + ENTRY_BYTES, nameEnd));
  if (method === 0 && fields.compressed !== fields.uncompressed) throw fail(`the stored ZIP entry ${JSON.stringify(name)} has two sizes, ${fields.compressed} and ${fields.uncompressed}`);
  return { entry: { name, headerOffset: fields.offset, bytes: fields.uncompressed, method, encrypted: (view.getUint16(at + 8, true) & 1) === 1 }, end };
}

/** Replaces the fields that did not fit 32 bits, in the order that the format lays down. */
function readZip64Fields(extra: Uint8Array, fields: Record<'uncompressed' | 'compressed' | 'offset', number>, fail: Fail): void {
  const wanted = (['uncompressed', 'compressed', 'offset'] as const).filter((name) => fields[name] === MAX_32);
  if (!wanted.length) return;
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== ZIP64_EXTRA) continue;
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > extra.length || at + 4 + 8 * wanted.length > end) break;
    wanted.forEach((name, index) => (fields[name] = safe(view.getBigUint64(at + 4 + 8 * index, true), fail)));
    return;
  }
  throw fail('a ZIP entry of 4 GiB or more lacks its ZIP64 field');
}

/** Where a stored entry's bytes start. */
export async function storedEntryStart(access: RandomAccess, entry: ZipEntry, fail: Fail): Promise<number> {
  const label = `the ZIP entry ${JSON.stringify(entry.name)}`;
  if (entry.encrypted) throw fail(`${label} is encrypted`);
  if (entry.method !== 0) throw fail(`${label} is compressed (method ${entry.method}); PyTorch stores its entries`);
  if (entry.headerOffset + LOCAL_BYTES > access.byteLength) throw fail(`${label} starts at byte ${entry.headerOffset}, the file has ${access.byteLength}`);
  const header = viewOf(await access.read(entry.headerOffset, LOCAL_BYTES));
  if (header.getUint32(0, true) !== LOCAL_SIGNATURE) throw fail(`${label} has no header at byte ${entry.headerOffset}`);
  const start = entry.headerOffset + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + entry.bytes > access.byteLength) throw fail(`${label} needs bytes ${start} to ${start + entry.bytes}, the file has ${access.byteLength}: it was cut off`);
  return start;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function safe(value: bigint, fail: Fail): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw fail(`a ZIP64 number of ${value} is beyond any file`);
  return Number(value);
}
