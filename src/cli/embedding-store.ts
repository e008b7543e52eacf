/**
 * Embeddings by id, on disk as they come: `parts/NAME-….safetensors` while there is more to do, `NAME.safetensors` in the end. Every
 * file is written whole or not at all, so that a job that was killed goes on from what is there.
 */
import { nodeFiles } from '../platform/node-files.ts';
import { decodeSafetensors, encodeSafetensors } from '../train/index.ts';

const FORMAT = 'ct-lite-embeddings';
const PART_FOLDER = 'parts';
/** A kill loses no more than this. */
const secondsBetweenParts = 30;

export class EmbeddingStore {
  private readonly folder: string;
  private readonly name: string;
  private readonly latent: number;
  private readonly vectors = new Map<string, Float32Array>();
  private unsaved: string[] = [];
  private parts = 0;
  private lastSaved = performance.now();

  private constructor(folder: string, name: string, latent: number) {
    this.folder = folder;
    this.name = name;
    this.latent = latent;
  }

  /** Reads what an earlier run left. @throws Error naming a file that is damaged or of another length of embedding */
  static async open(folder: string, name: string, latent: number): Promise<EmbeddingStore> {
    const store = new EmbeddingStore(folder, name, latent);
    if (await nodeFiles.exists(store.file)) await store.load(store.file);
    for (const path of await store.partFiles()) await store.load(path);
    return store;
  }

  has(id: string): boolean {
    return this.vectors.has(id);
  }

  /** Keeps an embedding; now and then writes what is new. */
  async add(id: string, vector: Float32Array): Promise<void> {
    this.vectors.set(id, vector);
    this.unsaved.push(id);
    if (performance.now() - this.lastSaved > 1000 * secondsBetweenParts) await this.save();
  }

  /** Writes what is new as a part. */
  async save(): Promise<void> {
    this.lastSaved = performance.now();
    if (!this.unsaved.length) return;
    const folder = nodeFiles.join(this.folder, PART_FOLDER);
    await nodeFiles.makeDirectory(folder);
    let path: string;
    do path = nodeFiles.join(folder, `${this.name}-${String(this.parts++).padStart(5, '0')}.safetensors`);
    while (await nodeFiles.exists(path));
    await nodeFiles.writeFile(path, this.encode(this.unsaved));
    this.unsaved = [];
  }

  /** Writes `NAME.safetensors` with a row for each of `ids`, in their order. */
  async finish(ids: readonly string[]): Promise<void> {
    await nodeFiles.writeFile(this.file, this.encode(ids));
    this.unsaved = [];
  }

  /** Removes the parts: after everything that is made of them is there. */
  async removeParts(): Promise<void> {
    for (const path of await this.partFiles()) await nodeFiles.remove(path);
    const folder = nodeFiles.join(this.folder, PART_FOLDER);
    if ((await nodeFiles.exists(folder)) && (await nodeFiles.list(folder)).length === 0) await nodeFiles.remove(folder);
  }

  private get file(): string {
    return nodeFiles.join(this.folder, `${this.name}.safetensors`);
  }

  private async partFiles(): Promise<string[]> {
    const folder = nodeFiles.join(this.folder, PART_FOLDER);
    if (!(await nodeFiles.exists(folder))) return [];
    const entries = await nodeFiles.list(folder);
    return entries.filter(({ name }) => name.startsWith(`${this.name}-`) && name.endsWith('.safetensors')).map(({ name }) => nodeFiles.join(folder, name));
  }

  private encode(ids: readonly string[]): Uint8Array {
    const data = new Float32Array(ids.length * this.latent);
    ids.forEach((id, row) => data.set(this.vectors.get(id)!, row * this.latent));
    return encodeSafetensors({ embeddings: { dtype: 'F32', shape: [ids.length, this.latent], data } }, { format: FORMAT, ids: JSON.stringify(ids) });
  }

  private async load(path: string): Promise<void> {
    const { tensors, metadata } = decodeSafetensors(await nodeFiles.readFile(path), path);
    const { embeddings } = tensors;
    const ids = metadata.format === FORMAT && metadata.ids !== undefined ? (JSON.parse(metadata.ids) as unknown) : null;
    if (!Array.isArray(ids) || embeddings?.dtype !== 'F32' || embeddings.shape.join() !== `${ids.length},${this.latent}`) {
      throw new Error(`embed: ${path}: holds no embeddings of length ${this.latent}; choose another --out, or remove the file`);
    }
    ids.forEach((id, row) => this.vectors.set(String(id), (embeddings.data as Float32Array).slice(row * this.latent, (row + 1) * this.latent)));
  }
}
