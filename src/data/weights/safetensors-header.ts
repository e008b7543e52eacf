/**
 * The header of the safetensors format (https://github.com/huggingface/safetensors, "Format"): 8 bytes of little-endian header
 * length, JSON, then the tensors' bytes without gaps. The one parser and writer of it.
 */
import { ELEMENT_BYTES, elementCount, isElementType, type ElementType } from './element-types.ts';

export const METADATA_KEY = '__metadata__';
const PREFIX_BYTES = 8;
/** The format's own bound on a header, 100 MB: a foreign file's first eight bytes may say anything. */
const HEADER_LIMIT = 100_000_000;
/** Bytes from which `safetensorsDataStart` tells the length of the header. */
export const SAFETENSORS_START_BYTES = PREFIX_BYTES + 2;

/** A tensor's place: bytes start … end of the data that follows the header. */
export interface SafetensorsEntry {
  name: string;
  dtype: ElementType;
  shape: number[];
  start: number;
  end: number;
}

export interface SafetensorsHeader {
  /** In the file's order. */
  entries: SafetensorsEntry[];
  metadata: Record<string, string>;
}

/** Makes the error for a file that is something else, or that is damaged. */
type Fail = (rule: string) => Error;
export interface SafetensorsFailures {
  foreign: Fail;
  broken: Fail;
}

/** Errors of `op` about the file `name`, with a remedy each. */
export function safetensorsFailures(op: string, name: string): SafetensorsFailures {
  return {
    foreign: (rule) => new Error(`${op}: ${name}: this is not a safetensors file: ${rule}; give a .safetensors checkpoint`),
    broken: (rule) => new Error(`${op}: ${name}: the file is damaged: ${rule}; take another copy or an earlier checkpoint`),
  };
}

/** Where the data starts, from the first bytes of the file (as many as `SAFETENSORS_START_BYTES`, or all). Checked against the file's size. */
export function safetensorsDataStart(first: Uint8Array, fileBytes: number, { foreign, broken }: SafetensorsFailures): number {
  if (fileBytes < SAFETENSORS_START_BYTES) throw foreign(`it must have at least ${SAFETENSORS_START_BYTES} bytes, got ${fileBytes}`);
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (first[PREFIX_BYTES] !== 0x7b) throw foreign(`its header must start with "{" at byte ${PREFIX_BYTES}, got byte ${first[PREFIX_BYTES]}`);
  if (length > BigInt(HEADER_LIMIT)) throw foreign(`its header may have ${HEADER_LIMIT} bytes at most, the file says ${length}`);
  const dataStart = PREFIX_BYTES + Number(length);
  if (dataStart > fileBytes) throw broken(`the header needs ${dataStart} bytes, the file has ${fileBytes}: it was cut off`);
  return dataStart;
}

/** Parses the header `head` (bytes 0 … dataStart of the file) and checks that its tensors cover `dataBytes` exactly once. */
export function parseSafetensorsHeader(head: Uint8Array, dataBytes: number, { foreign, broken }: SafetensorsFailures): SafetensorsHeader {
  let header: Record<string, unknown>;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(head.subarray(PREFIX_BYTES));
    header = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw foreign(`its header must be JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
  }
  const seen = new Set<string>();
  for (const key of outerKeys(text)) {
    if (seen.has(key)) throw broken(`names must be unique, "${key}" stands twice`);
    seen.add(key);
  }
  const { [METADATA_KEY]: metadata, ...rest } = header;
  const entries = Object.entries(rest).map(([name, value]) => readEntry(name, value, broken));
  requireCover(entries, dataBytes, broken);
  return { entries, metadata: readMetadata(metadata, broken) };
}

/** Keys of the outermost object of valid JSON text, as often as they stand there: JSON.parse keeps the last of equal ones silently. */
function outerKeys(json: string): string[] {
  const keys: string[] = [];
  let [depth, expectKey] = [0, false];
  for (const [token] of json.matchAll(/"(?:[^"\\]+|\\.)*"|[{}[\],:]/gs)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    if (depth === 1 && (token === '{' || token === ',')) expectKey = true;
    else if (expectKey && token.startsWith('"')) {
      keys.push(JSON.parse(token) as string);
      expectKey = false;
    }
  }
  return keys;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(name: string, value: unknown, broken: Fail): SafetensorsEntry {
  const fail = (rule: string) => broken(`tensor "${name}": ${rule}`);
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (!isElementType(dtype)) throw fail(`dtype must be one of ${Object.keys(ELEMENT_BYTES).join(', ')}, got ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw fail(`shape must be whole numbers ≥ 0, got ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1]) {
    throw fail(`data_offsets must be [start, end] with start ≤ end, got ${JSON.stringify(offsets)}`);
  }
  const [start, end] = offsets as [number, number];
  const needed = elementCount(shape) * ELEMENT_BYTES[dtype];
  if (needed !== end - start) throw fail(`shape [${shape.join(', ')}] of ${dtype} needs ${needed} bytes, data_offsets give ${end - start}`);
  return { name, dtype, shape, start, end };
}

/** The data must be covered exactly once: a gap or an overlap means a file that was edited or cut. */
function requireCover(entries: SafetensorsEntry[], dataBytes: number, broken: Fail): void {
  let at = 0;
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at) throw broken(`tensor "${name}": data must follow without gap or overlap from byte ${at}, starts at ${start}`);
    at = end;
  }
  if (at !== dataBytes) {
    const why = at > dataBytes ? 'it was cut off' : 'something was appended to it';
    throw broken(`the tensors need ${at} bytes of data, the file has ${dataBytes}: ${why}`);
  }
}

function readMetadata(value: unknown, broken: Fail): Record<string, string> {
  if (value === undefined) return {};
  const valid = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((each) => typeof each === 'string');
  if (!valid) throw broken(`${METADATA_KEY} must map strings to strings, got ${JSON.stringify(value).slice(0, 80)}`);
  return value as Record<string, string>;
}

/** Widest dtypes first, then by name, so that every tensor is aligned to its elements. */
export function safetensorsOrder<T extends { name: string; dtype: ElementType }>(tensors: Iterable<T>): T[] {
  return [...tensors].sort((a, b) => ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype] || (a.name < b.name ? -1 : 1));
}

/** Everything before the data, for tensors whose bytes follow in this order. Padded with spaces to 8 bytes. */
export function encodeSafetensorsHeader(tensors: readonly { name: string; dtype: ElementType; shape: readonly number[] }[], metadata: Record<string, string> = {}): Uint8Array<ArrayBuffer> {
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA_KEY, metadata]] : [];
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const start = end;
    end += elementCount(shape) * ELEMENT_BYTES[dtype];
    header.push([name, { dtype, shape, data_offsets: [start, end] }]);
  }
  // Object.fromEntries would put names like "7" first; the order of the header is the order of the data.
  const json = new TextEncoder().encode(`{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(PREFIX_BYTES + headerBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, PREFIX_BYTES);
  bytes.set(json, PREFIX_BYTES);
  return bytes;
}
