/**
 * PyTorch's checkpoints (.pt, .pth, .bin) since version 1.6: a ZIP with a pickle of the state dictionary (`data.pkl`) and the bytes
 * of each storage (`data/0`, `data/1` …). Nothing of the file is run (see pickle.ts), and no more of it read than is asked for.
 */
import { ELEMENT_BYTES, elementCount } from './element-types.ts';
import type { PickleStorage, PickleTensor } from './pickle-values.ts';
import { quoted } from './pickle-values.ts';
import { readTensorPickle } from './pickle.ts';
import type { RandomAccess } from './random-access.ts';
import { findStateDict } from './state-dict.ts';
import { gatherStrided, isContiguous } from './strided-view.ts';
import { TensorFile, type ElementRange, type TensorEntry } from './tensor-file.ts';
import { readZipDirectory, storedEntryStart, type ZipEntry } from './zip-directory.ts';

/** A state dictionary of a hundred thousand tensors pickles to about 20 MB. */
const PICKLE_LIMIT = 64 * 2 ** 20;
/** A view that names elements many times over (`expand`) may be this large, in bytes. */
const EXPANDED_LIMIT = 16 * 2 ** 20;
const PICKLE_NAME = 'data.pkl';

type Fail = (rule: string) => Error;

interface Place {
  tensor: PickleTensor;
  /** Byte in the file at which the storage starts. */
  start: number;
}

/**
 * Opens a PyTorch checkpoint. State dictionaries within a training checkpoint ({"model": …}) are found.
 *
 * @throws Error "openPytorch: NAME: …" where the file is damaged, of the format before PyTorch 1.6, big-endian, or asks for anything
 *   but tensors in plain containers, which is named
 */
export async function openPytorch(access: RandomAccess, name: string): Promise<TensorFile> {
  const fail: Fail = (rule) => new Error(`openPytorch: ${name}: ${rule}`);
  const damaged: Fail = (rule) => fail(`${rule}; the file is damaged, take another copy`);
  const entries = await readZipDirectory(access, damaged);
  const folder = folderOf(entries, fail);
  await requireLittleEndian(access, entries.get(`${folder}byteorder`), fail, damaged);
  const tensors = findStateDict(await readPickle(access, entries.get(folder + PICKLE_NAME)!, fail, damaged), fail);
  const starts = new Map<string, number>();
  const places = new Map<string, Place>();
  for (const [key, tensor] of tensors) {
    const { storage } = tensor;
    if (!starts.has(storage.key)) starts.set(storage.key, await storageStart(access, entries.get(`${folder}data/${storage.key}`), storage, damaged));
    requireExpandedBound(key, tensor, fail);
    places.set(key, { tensor, start: starts.get(storage.key)! });
    requireSize(entries.get(`${folder}data/${storage.key}`)!, storage, damaged);
  }
  return new PytorchFile(access, name, places);
}

/** The folder that everything in the ZIP is in; its name is that of the file that was saved. */
function folderOf(entries: ReadonlyMap<string, ZipEntry>, fail: Fail): string {
  const folders = [...entries.keys()].filter((name) => name === PICKLE_NAME || name.endsWith(`/${PICKLE_NAME}`)).map((name) => name.slice(0, -PICKLE_NAME.length));
  if (folders.length !== 1) throw fail(`it is a ZIP with ${folders.length || 'no'} ${PICKLE_NAME}, a PyTorch checkpoint has one; give the file that torch.save wrote`);
  return folders[0]!;
}

async function requireLittleEndian(access: RandomAccess, entry: ZipEntry | undefined, fail: Fail, damaged: Fail): Promise<void> {
  if (!entry) return; // written since PyTorch 2.1
  if (entry.bytes > 16) throw damaged(`its byte order takes ${entry.bytes} bytes`);
  const order = new TextDecoder().decode(await access.read(await storedEntryStart(access, entry, damaged), entry.bytes));
  if (order !== 'little') throw fail(`its byte order must be "little", got ${quoted(order)}; load and save it again on a little-endian machine`);
}

async function readPickle(access: RandomAccess, entry: ZipEntry, fail: Fail, damaged: Fail): Promise<ReturnType<typeof readTensorPickle>> {
  if (entry.bytes > PICKLE_LIMIT) throw fail(`its ${PICKLE_NAME} may have ${PICKLE_LIMIT} bytes at most, got ${entry.bytes}; save the weights alone: torch.save(model.state_dict(), "weights.pt")`);
  return readTensorPickle(await access.read(await storedEntryStart(access, entry, damaged), entry.bytes), fail);
}

async function storageStart(access: RandomAccess, entry: ZipEntry | undefined, storage: PickleStorage, damaged: Fail): Promise<number> {
  if (!entry) throw damaged(`storage ${quoted(storage.key)} is missing`);
  return storedEntryStart(access, entry, damaged);
}

/** A storage may be named more than once, with other types or sizes: each must fit the bytes. */
function requireSize(entry: ZipEntry, { dtype, key, elements }: PickleStorage, damaged: Fail): void {
  const needed = elements * ELEMENT_BYTES[dtype];
  if (needed > entry.bytes) throw damaged(`storage ${quoted(key)} of ${elements} ${dtype} needs ${needed} bytes, it has ${entry.bytes}`);
}

/** A few stored elements can be named as a tensor of any size; only small ones are anybody's weights. */
function requireExpandedBound(key: string, { shape, storage }: PickleTensor, fail: Fail): void {
  const bytes = elementCount(shape) * ELEMENT_BYTES[storage.dtype];
  if (shape.includes(0) || elementCount(shape) <= storage.elements || bytes <= EXPANDED_LIMIT) return;
  throw fail(`tensor ${quoted(key)} [${shape.join(', ')}] repeats the ${storage.elements} elements of its storage; save it with .contiguous()`);
}

class PytorchFile extends TensorFile {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  private readonly access: RandomAccess;
  private readonly places: ReadonlyMap<string, Place>;
  /** The last strided view that was gathered: its stretches are asked for one after another. */
  private gathered: { tensor: string; bytes: Promise<Uint8Array<ArrayBuffer>> } | null = null;

  constructor(access: RandomAccess, name: string, places: ReadonlyMap<string, Place>) {
    super(name);
    this.access = access;
    this.places = places;
    this.tensors = new Map([...places].map(([key, { tensor }]) => [key, { dtype: tensor.storage.dtype, shape: tensor.shape }]));
  }

  protected async readRange(key: string, { start, end }: ElementRange): Promise<Uint8Array<ArrayBuffer>> {
    const { tensor, start: storageStart } = this.places.get(key)!;
    const bytes = ELEMENT_BYTES[tensor.storage.dtype];
    const read = (first: number, count: number): Promise<Uint8Array<ArrayBuffer>> => this.access.read(storageStart + first * bytes, count * bytes);
    if (isContiguous(tensor)) return start === end ? new Uint8Array(0) : read(tensor.offset + start, end - start);
    const whole = await this.gather(key, () => gatherStrided(tensor, bytes, read));
    const all = elementCount(tensor.shape);
    if (start === 0 && end === all) {
      this.gathered = null;
      return whole;
    }
    if (end === all) this.gathered = null;
    return whole.slice(start * bytes, end * bytes);
  }

  private gather(tensor: string, work: () => Promise<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
    if (this.gathered?.tensor !== tensor) this.gathered = { tensor, bytes: work() };
    return this.gathered.bytes;
  }
}
