import { ELEMENT_BYTES, isFloat, toFloat32, type ElementType } from './element-types.ts';

/** A tensor as the file's index lists it. */
export interface TensorEntry {
  dtype: ElementType;
  /** [] is a single number; a zero anywhere makes a tensor without elements. */
  shape: readonly number[];
}

/** Elements start … end (exclusive) of a tensor in row-major order. */
export interface ElementRange {
  start: number;
  end: number;
}

/** Bytes read at once: enough for a disk, little beside a model. */
const CHUNK_BYTES = 8 * 2 ** 20;

/**
 * The tensors of an open checkpoint, read one at a time or in stretches. Structurally the model's `WeightSource`.
 */
export abstract class TensorFile {
  /** The file, for errors. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the file's order. */
  abstract readonly tensors: ReadonlyMap<string, TensorEntry>;

  constructor(name: string, metadata: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.metadata = metadata;
  }

  /** Row-major bytes of a checked range; the array is the caller's own. */
  protected abstract readRange(tensor: string, range: ElementRange): Promise<Uint8Array<ArrayBuffer>>;

  /** The elements, or a stretch of them, as the file's own type. @throws Error naming the tensor where it is missing or the range is not within it */
  async readBytes(tensor: string, range?: ElementRange): Promise<Uint8Array<ArrayBuffer>> {
    return this.readRange(tensor, this.requireRange(tensor, range));
  }

  /** The elements, or a stretch of them, as f32, whatever floating-point type the file has. @throws Error as `readBytes`, and for integers */
  async readFloat32(tensor: string, range?: ElementRange): Promise<Float32Array<ArrayBuffer>> {
    const { start, end } = this.requireRange(tensor, range);
    const { dtype } = this.tensors.get(tensor)!;
    if (!isFloat(dtype)) throw new Error(`${this.name}: tensor "${tensor}" must be of a floating-point type, got ${dtype}; it holds no weights`);
    if (dtype === 'F32') return toFloat32(await this.readRange(tensor, { start, end }), dtype);
    const values = new Float32Array(end - start);
    for await (const part of this.chunks(tensor, { start, end })) values.set(toFloat32(part.bytes, dtype), part.start - start);
    return values;
  }

  /** A tensor in stretches of at most 8 MiB, in order. */
  async *chunks(tensor: string, range?: ElementRange): AsyncGenerator<{ start: number; bytes: Uint8Array<ArrayBuffer> }, void, undefined> {
    const { start, end } = this.requireRange(tensor, range);
    const step = CHUNK_BYTES / ELEMENT_BYTES[this.tensors.get(tensor)!.dtype];
    for (let at = start; at < end; at += step) yield { start: at, bytes: await this.readRange(tensor, { start: at, end: Math.min(end, at + step) }) };
  }

  private requireRange(tensor: string, range?: ElementRange): ElementRange {
    const entry = this.tensors.get(tensor);
    if (!entry) throw new Error(`${this.name}: tensor "${tensor}" is missing; the file has ${this.tensors.size} others`);
    const count = entry.shape.reduce((product, size) => product * size, 1);
    const { start, end } = range ?? { start: 0, end: count };
    if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= count)) throw new Error(`${this.name}: tensor "${tensor}": elements ${start} to ${end} must lie within its ${count}`);
    return { start, end };
  }
}
