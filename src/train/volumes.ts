/** The volumes of a cohort as model input, decoded ahead of need and kept in memory up to a bound. */
import { jpegRoundTrip, valueToGrey, type CohortScan } from '../data/index.ts';
import type { VolumeValues } from './upload-volumes.ts';

/** Decodes one scan to the model's grid: Float32Array [D·Y·X] in [−1, 1], uncompressed. The platform gives it (worker threads). */
export type DecodeScan = (scan: CohortScan) => Promise<Float32Array>;

/** Compresses a volume [D·Y·X] as JPEG and decodes it again: grey levels. Default in this thread; a platform may give worker threads. */
export type CompressVolume = (values: Float32Array, quality: number, scan: CohortScan) => Promise<Uint8Array>;

/** A form of a volume: JPEG of a quality, 8-bit grey levels without JPEG ('grey'), or uncompressed (null). */
export type InputQuality = number | 'grey' | null;

export class VolumeStore {
  private readonly decode: DecodeScan;
  private readonly compress: CompressVolume;
  private readonly shape: [number, number, number];
  private readonly budget: number;
  private readonly cache = new Map<string, Promise<Float32Array>>();

  /** Keeps up to `budgetBytes` of decoded volumes, least recently used out first. */
  constructor(decode: DecodeScan, shape: [number, number, number], budgetBytes: number, compress: CompressVolume = (values, quality) => jpegRoundTrip(values, shape, quality)) {
    this.decode = decode;
    this.compress = compress;
    this.shape = shape;
    this.budget = Math.max(1, Math.floor(budgetBytes / (4 * shape[0] * shape[1] * shape[2])));
  }

  /** Uncompressed input. */
  raw(scan: CohortScan): Promise<Float32Array> {
    const known = this.cache.get(scan.id);
    if (known) {
      this.cache.delete(scan.id);
      this.cache.set(scan.id, known);
      return known;
    }
    const decoding = this.decode(scan);
    decoding.catch(() => {
      if (this.cache.get(scan.id) === decoding) this.cache.delete(scan.id);
    });
    this.cache.set(scan.id, decoding);
    if (this.cache.size > this.budget) this.cache.delete(this.cache.keys().next().value!);
    return decoding;
  }

  /** The same after JPEG at `quality`, as grey levels; what the student sees. */
  async jpeg(scan: CohortScan, quality: number): Promise<Uint8Array> {
    return this.compress(await this.raw(scan), quality, scan);
  }

  /** The same in 255 steps of grey without JPEG: what 8 bits alone cost. */
  async grey(scan: CohortScan): Promise<Uint8Array> {
    return Uint8Array.from(await this.raw(scan), valueToGrey);
  }

  /** Volumes one after another in one form. */
  batch(scans: readonly CohortScan[], quality: InputQuality): Promise<VolumeValues> {
    if (quality === null) return this.rawBatch(scans);
    return quality === 'grey' ? this.greyBatch(scans) : this.jpegBatch(scans, () => quality);
  }

  /** Uncompressed volumes one after another, [B·D·Y·X]. */
  rawBatch(scans: readonly CohortScan[]): Promise<Float32Array<ArrayBuffer>> {
    return this.gather(scans, (count) => new Float32Array(count), (scan) => this.raw(scan));
  }

  /** The same after JPEG, each at its own quality, as grey levels. */
  jpegBatch(scans: readonly CohortScan[], quality: (index: number) => number): Promise<Uint8Array<ArrayBuffer>> {
    return this.gather(scans, (count) => new Uint8Array(count), (scan, index) => this.jpeg(scan, quality(index)));
  }

  /** In 8 bits without JPEG. */
  greyBatch(scans: readonly CohortScan[]): Promise<Uint8Array<ArrayBuffer>> {
    return this.gather(scans, (count) => new Uint8Array(count), (scan) => this.grey(scan));
  }

  private async gather<T extends VolumeValues>(scans: readonly CohortScan[], make: (count: number) => T, one: (scan: CohortScan, index: number) => Promise<ArrayLike<number>>): Promise<T> {
    const size = this.shape[0] * this.shape[1] * this.shape[2];
    const all = make(scans.length * size);
    await Promise.all(scans.map(async (scan, index) => all.set(await one(scan, index), index * size)));
    return all;
  }
}
