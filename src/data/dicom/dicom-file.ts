/**
 * One DICOM file: parsing by `dicom-parser`, here what it leaves open: files without the Part 10 preamble, a bound on what a
 * deflated file may inflate to, and values that are either right or refused.
 */
import dicomParser from 'dicom-parser';
import type { DataSet } from 'dicom-parser';
import { Inflate } from 'fflate';
import { EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN } from './transfer-syntax.ts';

export type { DataSet } from 'dicom-parser';

const PREFIX_AT = 128;
const PREFIX = 'DICM';
/** A deflated file larger than this would be an enhanced CT of a thousand frames. */
const MAX_INFLATED_BYTES = 2 ** 29;
const INFLATE_CHUNK = 65536;

const ascii = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

/** Whether the bytes are a DICOM file: by the mark, or, where an old exporter left it out, by a first element of group 0008. */
export function isDicom(bytes: Uint8Array): boolean {
  return hasPrefix(bytes) || bareSyntax(bytes) !== null;
}

function hasPrefix(bytes: Uint8Array): boolean {
  return bytes.length > PREFIX_AT + PREFIX.length && ascii(bytes, PREFIX_AT, PREFIX_AT + PREFIX.length) === PREFIX;
}

/** The syntax of a data set that begins at byte 0: (0008,0000), (0008,0005), (0008,0008) or (0008,0016) comes first in an image. */
function bareSyntax(bytes: Uint8Array): string | null {
  if (bytes.length < 256 || bytes[0] !== 8 || bytes[1] !== 0 || ![0, 5, 8, 0x16].includes(bytes[2]!) || bytes[3] !== 0) return null;
  if (/^(UL|CS|UI)$/.test(ascii(bytes, 4, 6))) return EXPLICIT_LITTLE_ENDIAN;
  const length = bytes[4]! | (bytes[5]! << 8) | (bytes[6]! << 16);
  return bytes[7] === 0 && length > 0 && length <= 128 ? IMPLICIT_LITTLE_ENDIAN : null;
}

/** @throws `where: …` for what is no DICOM or breaks off. Elements are views into `bytes`. */
export function parseDicom(bytes: Uint8Array, where: string): DataSet {
  const syntax = hasPrefix(bytes) ? undefined : bareSyntax(bytes);
  if (syntax === null) throw new Error(`${where}: not a DICOM file`);
  try {
    return dicomParser.parseDicom(bytes, { inflater: inflateAfter, ...(syntax && { TransferSyntaxUID: syntax }) });
  } catch (cause) {
    throw damagedFile(where, cause);
  }
}

/**
 * Runs what reads a parsed file's values: the parser checks lengths only then, and throws strings and { exception }.
 * @throws what `work` throws in its own words, which begin with `where`; else `where: the DICOM file is damaged …`.
 */
export function readingValues<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Error && cause.message.startsWith(where)) throw cause;
    throw damagedFile(where, cause);
  }
}

function damagedFile(where: string, cause: unknown): Error {
  const inner = (cause as { exception?: unknown } | null)?.exception ?? cause;
  const reason = inner instanceof Error ? inner.message : String(inner);
  return new Error(`${where}: the DICOM file is damaged or cut off (${reason.slice(0, 160)}); copy or export it again`, { cause });
}

/** The file with all that follows `position` inflated, as the parser asks for. */
function inflateAfter(bytes: Uint8Array, position: number): Uint8Array {
  const chunks: Uint8Array[] = [bytes.slice(0, position)];
  let total = 0;
  const stream = new Inflate((chunk) => {
    total += chunk.length;
    if (total <= MAX_INFLATED_BYTES) chunks.push(chunk);
  });
  for (let at = position; at < bytes.length && total <= MAX_INFLATED_BYTES; at += INFLATE_CHUNK) {
    const end = Math.min(at + INFLATE_CHUNK, bytes.length);
    stream.push(bytes.subarray(at, end), end === bytes.length);
  }
  if (total > MAX_INFLATED_BYTES) throw new Error(`it inflates to more than ${MAX_INFLATED_BYTES} bytes`);
  const file = new Uint8Array(position + total);
  let at = 0;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** The values of a text element, without padding; none where it is missing or empty. */
export function texts(data: DataSet, tag: string): string[] {
  const text = data.string(tag)?.replace(/\0+$/, '').trim() ?? '';
  return text === '' ? [] : text.split('\\').map((value) => value.trim());
}

export const text = (data: DataSet, tag: string): string => texts(data, tag)[0] ?? '';

/**
 * Decimal or integer strings: `-01.024000E+03`, `+1`, `.5`.
 * @returns null where the element is missing or empty.
 * @throws where there are fewer than `count` values, or one is no number.
 */
export function numbers(data: DataSet, tag: string, count: number, where: string, what: string): number[] | null {
  const values = texts(data, tag);
  if (values.length === 0) return null;
  if (values.length < count || !values.slice(0, count).every((value) => DECIMAL.test(value) && Number.isFinite(Number(value)))) {
    throw new Error(`${where}: ${what} must be ${count === 1 ? 'a number' : `${count} numbers`}, got '${values.join('\\').slice(0, 80)}'; export the series again`);
  }
  return values.slice(0, count).map(Number);
}

/** An unsigned short, or undefined where it is missing or of another length. */
export function unsignedShort(data: DataSet, tag: string): number | undefined {
  return (data.elements[tag]?.length ?? 0) >= 2 ? data.uint16(tag) : undefined;
}

/** The data sets of a sequence's items. */
export function items(data: DataSet, tag: string): DataSet[] {
  return (data.elements[tag]?.items ?? []).flatMap((item) => (item.dataSet ? [item.dataSet] : []));
}
