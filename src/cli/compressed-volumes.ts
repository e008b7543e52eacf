/** What JPEG made of volumes, kept up to a bound: the arms of an experiment read the same scans at the same few qualities again and again. */
import type { CohortScan } from '../data/index.ts';
import type { CompressVolume } from '../train/index.ts';

/** Bytes of grey levels. */
const BUDGET = 2 ** 30;

export class CompressedVolumes {
  private readonly compress: CompressVolume;
  private readonly budget: number;
  private readonly kept = new Map<string, Uint8Array>();
  private bytes = 0;

  /** @param budget most bytes kept; least recently used out first */
  constructor(compress: CompressVolume, budget = BUDGET) {
    this.compress = compress;
    this.budget = budget;
  }

  async get(values: Float32Array, quality: number, scan: CohortScan): Promise<Uint8Array> {
    const key = `${quality} ${scan.id}`;
    const known = this.kept.get(key);
    if (known) {
      this.kept.delete(key);
      this.kept.set(key, known);
      return known;
    }
    const made = await this.compress(values, quality, scan);
    if (!this.kept.has(key)) this.bytes += made.length;
    this.kept.set(key, made);
    for (const [oldest, grey] of this.kept) {
      if (this.bytes <= this.budget) break;
      this.kept.delete(oldest);
      this.bytes -= grey.length;
    }
    return made;
  }
}
