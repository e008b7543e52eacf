/** The volumes of a cohort as model input, decoded ahead of need and kept in memory up to a bound. */
import { jpegRoundTrip, type CohortScan } from '../data/index.ts';

/** Decodes one scan to the model's grid: Float32Array [D·Y·X] in [−1, 1], uncompressed. The platform gives it (worker threads). */
export type DecodeScan = (scan: CohortScan) => Promise<Float32Array>;

export class VolumeStore {
  private readonly decode: DecodeScan;
  private readonly shape: [number, number, number];
  private readonly budget: number;
  private readonly cache = new Map<string, Promise<Float32Array>>();

  /** Keeps up to `budgetBytes` of decoded volumes, least recently used out first. */
  constructor(decode: DecodeScan, shape: [number, number, number], budgetBytes: number) {
    this.decode = decode;
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

  /** The same after JPEG at `quality`; what the student sees. */
  async jpeg(scan: CohortScan, quality: number): Promise<Float32Array> {
    return jpegRoundTrip(await this.raw(scan), this.shape, quality);
  }

  /** Volumes one after another, as a batch [B·D·Y·X]. */
  async batch(scans: readonly CohortScan[], quality: (index: number) => number | null): Promise<Float32Array<ArrayBuffer>> {
    const size = this.shape[0] * this.shape[1] * this.shape[2];
    const all = new Float32Array(scans.length * size);
    await Promise.all(
      scans.map(async (scan, index) => {
        const q = quality(index);
        all.set(q === null ? await this.raw(scan) : await this.jpeg(scan, q), index * size);
      }),
    );
    return all;
  }
}
