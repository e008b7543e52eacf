/**
 * What a frozen text tower gives, kept so that it reads each text once: in memory, and on disk as safetensors of half precision.
 *
 * `FOLDER/WEIGHTS/NAME.safetensors`: `keys` U8 [n, 32], SHA-256 of a text's token ids, and `features` F16 [n, width]. WEIGHTS names
 * sizes and weights of the tower, NAME what is in the file, so that runs can share a folder and only ever add to it.
 */
import { noGrad, type Tensor } from '../autograd/index.ts';
import { fromFloat32, toFloat32, type FileSystem } from '../data/index.ts';
import type { Bert, FrozenText, TextBatch } from '../model/index.ts';
import { sha256 } from './digest.ts';
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts';

const FORMAT = 'ct-lite-text-cache';
const KEY_BYTES = 32;
/** Texts that the tower reads at once. */
const BATCH = 32;
/** Of the names of folder and files: enough to tell them apart, short enough to read. */
const NAME_CHARACTERS = 16;

export interface TextCacheFolder {
  files: FileSystem;
  folder: string;
  /** `TextTowerConfig.weights`. */
  weights: string;
}

export class TextCache implements FrozenText {
  /** Texts that the tower has read for this cache. */
  read = 0;
  readonly width: number;
  private readonly tower: Bert;
  private place: TextCacheFolder | null = null;
  private readonly features = new Map<string, Uint16Array<ArrayBuffer>>();
  private unsaved: string[] = [];

  /** A cache in memory alone. The tower stays the caller's. */
  constructor(tower: Bert) {
    this.tower = tower;
    this.width = tower.width;
  }

  /**
   * Reads what earlier runs kept of the tower with these weights, and keeps there what is new. Makes no folder before there is something to
   * keep.
   * @throws Error naming a file that is damaged or of another tower
   */
  async attach({ files, folder, weights }: TextCacheFolder): Promise<void> {
    this.place = { files, weights, folder: files.join(folder, weights.slice(0, NAME_CHARACTERS)) };
    if (!(await files.exists(this.place.folder))) return;
    for (const { name, kind } of await files.list(this.place.folder)) {
      if (kind === 'file' && name.endsWith('.safetensors')) await this.load(files.join(this.place.folder, name));
    }
  }

  /** Texts kept. */
  get size(): number {
    return this.features.size;
  }

  /**
   * `tower.forward(texts)` [B, width], rounded to half precision whether it was kept or is computed now, so that a run gives the same
   * either way. Runs the tower on texts that are not kept, without gradients. Awaits the GPU then: no scope may be open beside its own.
   */
  async forward(texts: TextBatch): Promise<Tensor> {
    const rows = Array.from({ length: texts.batch }, (_, row) => texts.ids.slice(row * texts.tokens, row * texts.tokens + texts.lengths[row]!));
    const keys = await Promise.all(rows.map((ids) => sha256(ids)));
    const missing = [...new Map(keys.map((key, row) => [key, rows[row]!])).entries()].filter(([key]) => !this.features.has(key));
    for (let first = 0; first < missing.length; first += BATCH) await this.compute(missing.slice(first, first + BATCH));
    const halves = new Uint16Array(texts.batch * this.width);
    keys.forEach((key, row) => halves.set(this.features.get(key)!, row * this.width));
    return this.tower.wordEmbeddings.engine.tensor(toFloat32(new Uint8Array(halves.buffer), 'F16'), [texts.batch, this.width]);
  }

  private async compute(entries: readonly (readonly [string, Uint32Array])[]): Promise<void> {
    const tokens = Math.max(...entries.map(([, ids]) => ids.length));
    const ids = new Uint32Array(entries.length * tokens);
    entries.forEach(([, row], at) => ids.set(row, at * tokens));
    const batch = { ids, lengths: entries.map(([, row]) => row.length), batch: entries.length, tokens };
    const { engine } = this.tower.wordEmbeddings;
    const values = await engine.scope(async () => (await noGrad(() => this.tower.forward(batch)).toArray()) as Float32Array<ArrayBuffer>);
    const halves = new Uint16Array(fromFloat32(values, 'F16').buffer as ArrayBuffer);
    entries.forEach(([key], row) => {
      this.features.set(key, halves.slice(row * this.width, (row + 1) * this.width));
      this.unsaved.push(key);
    });
    this.read += entries.length;
  }

  /** Writes what is new as one more file, whole or not at all. */
  async save(): Promise<void> {
    if (!this.place || !this.unsaved.length) return;
    const { files, folder, weights } = this.place;
    const saving = this.unsaved;
    const keys = new Uint8Array(saving.length * KEY_BYTES);
    const features = new Uint16Array(saving.length * this.width);
    saving.forEach((key, row) => {
      keys.set(key.match(/../g)!.map((hex) => Number.parseInt(hex, 16)), row * KEY_BYTES);
      features.set(this.features.get(key)!, row * this.width);
    });
    const bytes = encodeSafetensors(
      { keys: { dtype: 'U8', shape: [saving.length, KEY_BYTES], data: keys }, features: { dtype: 'F16', shape: [saving.length, this.width], data: features } },
      { format: FORMAT, weights },
    );
    await files.makeDirectory(folder);
    await files.writeFile(files.join(folder, `${(await sha256(keys)).slice(0, NAME_CHARACTERS)}.safetensors`), bytes);
    this.unsaved = [];
  }

  private async load(path: string): Promise<void> {
    const { files, weights } = this.place!;
    const fail = (rule: string, cause?: unknown): Error => new Error(`TextCache: ${path}: ${rule}; remove the file, its texts are then read again`, { cause });
    let decoded: ReturnType<typeof decodeSafetensors>;
    try {
      decoded = decodeSafetensors(await files.readFile(path), path);
    } catch (cause) {
      throw fail(`cannot be read (${(cause as Error).message})`, cause);
    }
    const { keys, features } = decoded.tensors;
    const count = keys?.shape[0] ?? 0;
    const fits = decoded.metadata.format === FORMAT && decoded.metadata.weights === weights && keys?.dtype === 'U8' && features?.dtype === 'F16' && keys.shape.join() === `${count},${KEY_BYTES}` && features.shape.join() === `${count},${this.width}`;
    if (!fits) throw fail('is no cache of this text tower');
    for (let row = 0; row < count; row++) {
      const key = Array.from(keys!.data.slice(row * KEY_BYTES, (row + 1) * KEY_BYTES) as Uint8Array, (byte) => byte.toString(16).padStart(2, '0')).join('');
      this.features.set(key, Uint16Array.from((features!.data as Uint16Array).subarray(row * this.width, (row + 1) * this.width)));
    }
  }
}
