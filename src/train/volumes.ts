/** The volumes of a cohort as model input, decoded ahead of need and kept in memory up to a bound. */
import { greyToValues, jpegRoundTrip, valueToGrey, type CohortScan } from '../data/index.ts';
import type { VolumeValues } from './upload-volumes.ts';

/**
 * Decodes one scan to the model's grid, [D·Y·X] as it is stored: values in [−1, 1], or the grey levels of a JPEG volume that is on the
 * grid already. The platform gives it (worker threads).
 */
export type DecodeScan = (scan: CohortScan) => Promise<Float32Array | Uint8Array>;

/** Compresses a volume [D·Y·X] as JPEG and decodes it again: grey levels. Default in this thread; a platform may give worker threads. */
export type CompressVolume = (values: Float32Array, quality: number, scan: CohortScan) => Promise<Uint8Array>;

/** A form of a volume: JPEG of a quality, 8-bit grey levels without JPEG ('grey'), or uncompressed (null). */
export type InputQuality = number | 'grey' | null;

export class VolumeStore {
  private readonly decode: DecodeScan;
  private readonly compress: CompressVolume;
  private readonly shape: [number, number, number];
  private readonly budget: number;
  private readonly cache = new Map<string, Promise<Float32Array | Uint8Array>>();

  /** Keeps up to `budgetBytes` of decoded volumes, least recently used out first. */
  constructor(decode: DecodeScan, shape: [number, number, number], budgetBytes: number, compress: CompressVolume = (values, quality) => jpegRoundTrip(values, shape, quality)) {
    this.decode = decode;
    this.compress = compress;
    this.shape = shape;
    this.budget = Math.max(1, Math.floor(budgetBytes / (4 * shape[0] * shape[1] * shape[2])));
  }

  /** Input that is not compressed here, as values. */
  async raw(scan: CohortScan): Promise<Float32Array> {
    return asValues(await this.stored(scan));
  }

  private stored(scan: CohortScan): Promise<Float32Array | Uint8Array> {
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

  /** Volumes one after another, [B·D·Y·X], not compressed here: grey levels where all are stored as JPEG, else values. */
  async rawBatch(scans: readonly CohortScan[]): Promise<VolumeValues> {
    const stored = await Promise.all(scans.map((scan) => this.stored(scan)));
    if (stored.every((volume) => volume instanceof Uint8Array)) return this.gather(scans, (count) => new Uint8Array(count), async (_, index) => stored[index]!);
    return this.gather(scans, (count) => new Float32Array(count), async (_, index) => asValues(stored[index]!));
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

const asValues = (volume: Float32Array | Uint8Array): Float32Array => (volume instanceof Uint8Array ? greyToValues(volume) : volume);
