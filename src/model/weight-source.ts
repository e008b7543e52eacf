/** A tensor of a checkpoint as its index lists it, before any of its bytes are read. */
export interface WeightInfo {
  /** The file's own name for the element type: 'F32', 'F16', 'BF16', 'F64', 'I64' …, as safetensors spells them. */
  dtype: string;
  /** [] is a single number. */
  shape: readonly number[];
}

/**
 * Named weights of somebody's checkpoint, whatever its file format (safetensors, PyTorch's zip). The model asks for one tensor at a
 * time, so that no more than one is held beside the model.
 */
export interface WeightSource {
  /** What errors call it, a file name for example. */
  readonly name: string;
  /** Everything in the file, in the file's order. */
  readonly tensors: ReadonlyMap<string, WeightInfo>;
  /**
   * The elements of one floating-point tensor as f32, row-major; with a range those from `start` to `end`, so that a tensor of
   * 600 MB need not be held whole. @throws Error naming the tensor where it is missing or not of a floating-point type
   */
  readFloat32(name: string, range?: { start: number; end: number }): Promise<Float32Array<ArrayBuffer>>;
}

/** The tensors of `source` whose names start with `prefix`, under what follows it: one tower of a model. */
export function prefixed(source: WeightSource, prefix: string): WeightSource {
  const inner = [...source.tensors].filter(([name]) => name.startsWith(prefix));
  return {
    name: source.name,
    tensors: new Map(inner.map(([name, info]) => [name.slice(prefix.length), info])),
    readFloat32: (name, range) => source.readFloat32(prefix + name, range),
  };
}
