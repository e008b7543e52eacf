/** What the tensor subset of Python's pickle can hold, and the few calls that it may make. */
import type { ElementType } from './element-types.ts';

export type PickleValue = null | boolean | number | bigint | string | PickleValue[] | Map<PickleValue, PickleValue> | PickleTuple | PickleGlobal | PickleStorage | PickleTensor;

export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A name that the pickle may mention: a typed storage, or one of three calls. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** The bytes behind one or more tensors: entry `data/KEY` of the ZIP. */
export class PickleStorage {
  readonly dtype: ElementType;
  readonly key: string;
  readonly elements: number;

  constructor(dtype: ElementType, key: string, elements: number) {
    this.dtype = dtype;
    this.key = key;
    this.elements = elements;
  }
}

/** A view of a storage: element (i, j, …) lies at offset + i·strides[0] + j·strides[1] + …, in elements. */
export class PickleTensor {
  readonly storage: PickleStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: PickleStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

const STORAGES: Readonly<Record<string, ElementType>> = {
  'torch.FloatStorage': 'F32', 'torch.DoubleStorage': 'F64', 'torch.HalfStorage': 'F16', 'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64', 'torch.IntStorage': 'I32', 'torch.ShortStorage': 'I16', 'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8', 'torch.BoolStorage': 'BOOL',
};
const ORDERED_DICT = 'collections.OrderedDict';
const REBUILD_TENSOR = 'torch._utils._rebuild_tensor_v2';
const REBUILD_PARAMETER = 'torch._utils._rebuild_parameter';
const NAMES = new Set([...Object.keys(STORAGES), ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER]);
/** PyTorch's own bound. */
const MAX_AXES = 64;

type Fail = (rule: string) => Error;

/** Text out of a foreign file as it may stand in an error. */
export const quoted = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);

/** @throws naming what the pickle asks for, where tensors do not need it */
export function namedGlobal(module: string, name: string, fail: Fail): PickleGlobal {
  const full = `${module}.${name}`;
  if (!NAMES.has(full)) throw fail(`it names ${quoted(full)}, which no tensor needs, so it is refused; nothing in the file was run. Save the weights alone: torch.save(model.state_dict(), "weights.pt")`);
  return new PickleGlobal(full);
}

/** The three calls of the subset; none of them runs anything of the file. */
export function callGlobal(callee: PickleValue, args: PickleValue, fail: Fail): PickleValue {
  if (!(callee instanceof PickleGlobal) || !(args instanceof PickleTuple)) throw fail('it calls something that is no function');
  if (callee.name === ORDERED_DICT) return orderedDict(args.items, fail);
  if (callee.name === REBUILD_TENSOR) return rebuildTensor(args.items, fail);
  if (callee.name === REBUILD_PARAMETER) {
    const [data] = args.items;
    if (!(data instanceof PickleTensor)) throw fail('_rebuild_parameter takes a tensor');
    return data;
  }
  throw fail(`it calls ${quoted(callee.name)}, which is a type, not a function of tensors`);
}

function orderedDict(args: readonly PickleValue[], fail: Fail): PickleValue {
  const dict = new Map<PickleValue, PickleValue>();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!Array.isArray(pairs)) throw fail('OrderedDict takes a list of pairs');
  for (const pair of pairs) {
    const items = pair instanceof PickleTuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2) throw fail('OrderedDict takes a list of pairs');
    dict.set(items[0] as PickleValue, items[1] as PickleValue);
  }
  return dict;
}

/** The persistent id of a storage: ('storage', type, key, location, elements). */
export function storageOf(id: PickleValue, fail: Fail): PickleStorage {
  const [kind, type, key, , elements] = id instanceof PickleTuple ? id.items : [];
  const dtype = type instanceof PickleGlobal && Object.hasOwn(STORAGES, type.name) ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isSize(elements)) throw fail('a storage must be given as ("storage", type, key, location, elements)');
  return new PickleStorage(dtype, key, elements);
}

function rebuildTensor(args: readonly PickleValue[], fail: Fail): PickleTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof PickleStorage) || !isSize(offset)) throw fail('_rebuild_tensor_v2 takes a storage and an offset ≥ 0');
  const [sizes, steps] = [sizesOf(shape), sizesOf(strides)];
  if (!sizes || !steps || sizes.length !== steps.length || sizes.length > MAX_AXES) throw fail(`a tensor needs as many strides as sizes, whole numbers ≥ 0, ${MAX_AXES} at most`);
  const isEmpty = sizes.includes(0);
  const last = sizes.reduce((at, size, axis) => at + (size - 1) * steps[axis]!, offset);
  if (!isEmpty && !(last < storage.elements)) throw fail(`a tensor [${sizes.join(', ')}] reaches to element ${last} of storage ${quoted(storage.key)}, which has ${storage.elements}`);
  return new PickleTensor(storage, offset, sizes, steps);
}

function sizesOf(value: PickleValue | undefined): number[] | null {
  const items = value instanceof PickleTuple ? value.items : value;
  return Array.isArray(items) && items.every(isSize) ? (items as number[]) : null;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
