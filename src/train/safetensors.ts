/** Whole safetensors files in memory: checkpoints. Large files of others are streamed by src/data/weights, which has the header's parser. */
import { ELEMENT_BYTES, elementCount, encodeSafetensorsHeader, isElementType, METADATA_KEY, parseSafetensorsHeader, SAFETENSORS_START_BYTES, safetensorsDataStart, safetensorsFailures, safetensorsOrder, type ElementType } from '../data/index.ts';

export type SafetensorsDtype = ElementType;

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

function requireTensor(name: string, { dtype, shape, data }: SafetensorsTensor): void {
  const fail = (rule: string) => new Error(`encodeSafetensors: ${name}: ${rule}`);
  if (name === METADATA_KEY) throw fail('a tensor must not have this name, it is kept for the metadata');
  if (!isElementType(dtype)) throw fail(`dtype must be one of ${Object.keys(ELEMENT_BYTES).join(', ')}, got ${String(dtype)}`);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) throw fail(`shape must be whole numbers ≥ 0, got [${shape.join(', ')}]`);
  if (!(data instanceof ARRAYS[dtype])) throw fail(`data of ${dtype} must be a ${ARRAYS[dtype].name}, got ${data?.constructor?.name}`);
  if (data.length !== elementCount(shape)) throw fail(`data must have ${elementCount(shape)} elements for shape [${shape.join(', ')}], got ${data.length}`);
}

/**
 * Encodes tensors and metadata. Widest dtypes come first, then by name, so that every tensor is aligned to its elements; the header
 * is padded with spaces to 8 bytes. The same input gives the same bytes.
 *
 * @throws Error naming the tensor where dtype, shape and data don't fit together
 */
export function encodeSafetensors(tensors: Record<string, SafetensorsTensor>, metadata: Record<string, string> = {}): Uint8Array {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw new Error(`encodeSafetensors: metadata ${key} must be a string, got ${typeof value}`);
  }
  for (const [name, tensor] of Object.entries(tensors)) requireTensor(name, tensor);
  const ordered = safetensorsOrder(Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor })));
  const head = encodeSafetensorsHeader(ordered, metadata);
  const bytes = new Uint8Array(ordered.reduce((sum, { data }) => sum + data.byteLength, head.length));
  bytes.set(head);
  let at = head.length;
  for (const { data } of ordered) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
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
  const failures = safetensorsFailures('decodeSafetensors', name);
  const dataStart = safetensorsDataStart(bytes.subarray(0, SAFETENSORS_START_BYTES), bytes.length, failures);
  const { entries, metadata } = parseSafetensorsHeader(bytes.subarray(0, dataStart), bytes.length - dataStart, failures);
  const tensors = Object.create(null) as Record<string, SafetensorsTensor>;
  for (const { name: tensor, dtype, shape, start, end } of entries) {
    const place = bytes.byteOffset + dataStart + start;
    const aligned = place % ELEMENT_BYTES[dtype] === 0;
    // Not bytes.slice: a Node Buffer's gives a view, not a copy.
    const buffer = aligned ? bytes.buffer : Uint8Array.from(bytes.subarray(dataStart + start, dataStart + end)).buffer;
    tensors[tensor] = { dtype, shape, data: new ARRAYS[dtype](buffer as ArrayBuffer, aligned ? place : 0, (end - start) / ELEMENT_BYTES[dtype]) };
  }
  return { tensors, metadata };
}
