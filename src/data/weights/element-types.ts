/** Element types of checkpoints, as safetensors names them, and their conversion. Little-endian, as WebGPU's hosts are. */

export const ELEMENT_BYTES = { F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 } as const;
export type ElementType = keyof typeof ELEMENT_BYTES;

const FLOATS: readonly ElementType[] = ['F64', 'F32', 'F16', 'BF16'];

export const isElementType = (text: unknown): text is ElementType => typeof text === 'string' && Object.hasOwn(ELEMENT_BYTES, text);
export const isFloat = (dtype: ElementType): boolean => FLOATS.includes(dtype);

/** Number of elements; may pass 2^53 for shapes out of a foreign header, so compare before use. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

let halves: Float32Array | null = null;

/** All 65,536 half-precision values by their bits. */
function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    const magnitude = exponent === 31 ? (fraction ? NaN : Infinity) : exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halves[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return halves;
}

/** The bits of one number in half precision, rounded to nearest, ties to even. Beyond ±65504 it is infinite. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24); // subnormal; rounding up to 1024 is the first normal
  const exponent = Math.floor(Math.log2(magnitude));
  const power = magnitude < 2 ** exponent ? exponent - 1 : magnitude >= 2 ** (exponent + 1) ? exponent + 1 : exponent; // log2 rounds
  return sign | (((power + 15) << 10) + roundToEven((magnitude / 2 ** power - 1) * 1024));
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** Floating-point elements as f32. `bytes` may lie at any place of its buffer. @throws Error for an integer type */
export function toFloat32(bytes: Uint8Array, dtype: ElementType): Float32Array<ArrayBuffer> {
  const count = bytes.length / ELEMENT_BYTES[dtype];
  if (dtype === 'F32') return new Float32Array(aligned(bytes), 0, count);
  const values = new Float32Array(count);
  if (dtype === 'F64') values.set(new Float64Array(aligned(bytes), 0, count));
  else if (dtype === 'F16') {
    const table = halfTable();
    const bits = new Uint16Array(aligned(bytes), 0, count);
    for (let i = 0; i < count; i++) values[i] = table[bits[i]!]!;
  } else if (dtype === 'BF16') {
    const bits = new Uint16Array(aligned(bytes), 0, count);
    const wide = new Uint32Array(values.buffer);
    for (let i = 0; i < count; i++) wide[i] = bits[i]! << 16;
  } else throw new Error(`toFloat32: the elements must be of a floating-point type (${FLOATS.join(', ')}), got ${dtype}`);
  return values;
}

/** f32 elements in the bytes of another floating-point type. */
export function fromFloat32(values: Float32Array<ArrayBuffer>, dtype: 'F32' | 'F16'): Uint8Array<ArrayBuffer> {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = halfBits(values[i]!);
  return new Uint8Array(bits.buffer);
}

/** The bytes at the start of a buffer that nothing else uses, or of a copy. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return (bytes.byteOffset === 0 ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;
}
