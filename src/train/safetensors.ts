/**
 * The safetensors format (https://github.com/huggingface/safetensors, "Format"): 8 bytes of little-endian header length, a JSON
 * header, then the tensors' bytes without gaps. Little-endian machines only, as WebGPU's hosts are.
 */

const BYTES = { F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 } as const;
export type SafetensorsDtype = keyof typeof BYTES;

/** F16 and BF16 are carried as their bits, BOOL as bytes 0 and 1. */
const ARRAYS = {
  F64: Float64Array, I64: BigInt64Array, U64: BigUint64Array, F32: Float32Array, I32: Int32Array, U32: Uint32Array,
  F16: Uint16Array, BF16: Uint16Array, I16: Int16Array, U16: Uint16Array, I8: Int8Array, U8: Uint8Array, BOOL: Uint8Array,
} as const;
export type SafetensorsArray = InstanceType<(typeof ARRAYS)[SafetensorsDtype]>;

export interface SafetensorsTensor {
  dtype: SafetensorsDtype;
  /** [] is a single number; a zero anywhere makes a tensor without elements. */
  shape: number[];
  data: SafetensorsArray;
}

export interface Safetensors {
  /** Without a prototype: any name is safe as a key. */
  tensors: Record<string, SafetensorsTensor>;
  metadata: Record<string, string>;
}

const METADATA = '__metadata__';
const PREFIX_BYTES = 8;
/** The format's own bound on a header, 100 MB: a foreign file's first eight bytes may say anything. */
const HEADER_LIMIT = 100_000_000;

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function requireTensor(name: string, { dtype, shape, data }: SafetensorsTensor): void {
  const fail = (rule: string) => new Error(`encodeSafetensors: ${name}: ${rule}`);
  if (name === METADATA) throw fail('a tensor must not have this name, it is kept for the metadata');
  if (!Object.hasOwn(BYTES, dtype)) throw fail(`dtype must be one of ${Object.keys(BYTES).join(', ')}, got ${String(dtype)}`);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) throw fail(`shape must be whole numbers ≥ 0, got [${shape.join(', ')}]`);
  if (!(data instanceof ARRAYS[dtype])) throw fail(`data of ${dtype} must be a ${ARRAYS[dtype].name}, got ${data?.constructor?.name}`);
  if (data.length !== elements(shape)) throw fail(`data must have ${elements(shape)} elements for shape [${shape.join(', ')}], got ${data.length}`);
}

/**
 * Encodes tensors and metadata. Widest dtypes come first, then by name, so that every tensor is aligned to its elements; the header
 * is padded with spaces to 8 bytes. The same input gives the same bytes.
 *
 * @throws Error naming the tensor where dtype, shape and data don't fit together
 */
export function encodeSafetensors(tensors: Record<string, SafetensorsTensor>, metadata: Record<string, string> = {}): Uint8Array {
  const names = Object.keys(tensors).sort((a, b) => BYTES[tensors[b]!.dtype] - BYTES[tensors[a]!.dtype] || (a < b ? -1 : 1));
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw new Error(`encodeSafetensors: metadata ${key} must be a string, got ${typeof value}`);
  }
  let end = 0;
  for (const name of names) {
    const tensor = tensors[name]!;
    requireTensor(name, tensor);
    const start = end;
    end += tensor.data.byteLength;
    header.push([name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [start, end] }]);
  }
  // Object.fromEntries would put names like "7" first; the order of the header is the order of the data.
  const json = new TextEncoder().encode(`{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(PREFIX_BYTES + headerBytes + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  bytes.set(json, PREFIX_BYTES);
  let at = PREFIX_BYTES + headerBytes;
  for (const name of names) {
    const { data } = tensors[name]!;
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
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

type Fail = (rule: string) => Error;

/** Header length and text, checked against the file's size before anything is decoded. */
function readHeader(bytes: Uint8Array, foreign: Fail, broken: Fail): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < PREFIX_BYTES + 2) throw foreign(`it must have at least ${PREFIX_BYTES + 2} bytes, got ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (bytes[PREFIX_BYTES] !== 0x7b) throw foreign(`its header must start with "{" at byte ${PREFIX_BYTES}, got byte ${bytes[PREFIX_BYTES]}`);
  if (length > BigInt(HEADER_LIMIT)) throw foreign(`its header may have ${HEADER_LIMIT} bytes at most, the file says ${length}`);
  const dataStart = PREFIX_BYTES + Number(length);
  if (dataStart > bytes.length) throw broken(`the header needs ${dataStart} bytes, the file has ${bytes.length}: it was cut off`);
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(PREFIX_BYTES, dataStart));
    header = JSON.parse(text);
  } catch (error) {
    throw foreign(`its header must be JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
  }
  const seen = new Set<string>();
  for (const key of outerKeys(text)) {
    if (seen.has(key)) throw broken(`names must be unique, "${key}" stands twice`);
    seen.add(key);
  }
  return { header: header as Record<string, unknown>, dataStart };
}

interface Entry {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
  start: number;
  end: number;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(name: string, value: unknown, broken: Fail): Entry {
  const fail = (rule: string) => broken(`tensor "${name}": ${rule}`);
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES, dtype)) throw fail(`dtype must be one of ${Object.keys(BYTES).join(', ')}, got ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw fail(`shape must be whole numbers ≥ 0, got ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1]) {
    throw fail(`data_offsets must be [start, end] with start ≤ end, got ${JSON.stringify(offsets)}`);
  }
  const [start, end] = offsets as [number, number];
  const needed = elements(shape) * BYTES[dtype as SafetensorsDtype];
  if (needed !== end - start) throw fail(`shape [${shape.join(', ')}] of ${dtype} needs ${needed} bytes, data_offsets give ${end - start}`);
  return { name, dtype: dtype as SafetensorsDtype, shape, start, end };
}

/** The data must be covered exactly once: a gap or an overlap means a file that was edited or cut. */
function requireCover(entries: Entry[], dataBytes: number, broken: Fail): void {
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
  if (!valid) throw broken(`${METADATA} must map strings to strings, got ${JSON.stringify(value).slice(0, 80)}`);
  return value as Record<string, string>;
}

/**
 * Decodes a safetensors file. The whole header is checked before any tensor is made. Tensors are views into `bytes` where their
 * place is aligned to their elements, copies elsewhere.
 *
 * @param name the file, for the errors
 * @throws Error "decodeSafetensors: NAME: this is not a safetensors file: …" for a foreign file, "…: the file is damaged: …" for a
 *   cut or inconsistent one, each with the rule, what was found and a remedy
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): Safetensors {
  const foreign: Fail = (rule) => new Error(`decodeSafetensors: ${name}: this is not a safetensors file: ${rule}; give a .safetensors checkpoint`);
  const broken: Fail = (rule) => new Error(`decodeSafetensors: ${name}: the file is damaged: ${rule}; take another copy or an earlier checkpoint`);
  const { header, dataStart } = readHeader(bytes, foreign, broken);
  const { [METADATA]: rawMetadata, ...rest } = header;
  const metadata = readMetadata(rawMetadata, broken);
  const entries = Object.entries(rest).map(([tensor, value]) => readEntry(tensor, value, broken));
  requireCover(entries, bytes.length - dataStart, broken);
  const tensors = Object.create(null) as Record<string, SafetensorsTensor>;
  for (const { name: tensor, dtype, shape, start, end } of entries) {
    const place = bytes.byteOffset + dataStart + start;
    const aligned = place % BYTES[dtype] === 0;
    // Not bytes.slice: a Node Buffer's gives a view, not a copy.
    const buffer = aligned ? bytes.buffer : Uint8Array.from(bytes.subarray(dataStart + start, dataStart + end)).buffer;
    tensors[tensor] = { dtype, shape, data: new ARRAYS[dtype](buffer as ArrayBuffer, aligned ? place : 0, (end - start) / BYTES[dtype]) };
  }
  return { tensors, metadata };
}
