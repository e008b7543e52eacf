import { OutOfMemoryError } from './errors.ts';

/** A GPU buffer lent by the pool. `bytes` is its real size, at least what was asked for. */
export interface PoolBuffer {
  readonly id: number;
  readonly gpu: GPUBuffer;
  readonly bytes: number;
  /** Number of the last command batch that uses it; an upload into a buffer of the open batch has to flush first. */
  lastBatch: number;
}

export interface PoolStats {
  /** Bytes lent out now, and the most that was lent at once. */
  liveBytes: number;
  peakBytes: number;
  liveBuffers: number;
  /** Bytes held for reuse. */
  freeBytes: number;
}

/**
 * Storage buffers with reuse. Sizes are rounded up to classes an eighth of a power of two apart (at most 12.5 % waste), so that
 * a training step finds the buffers of the step before. Reuse needs no fence: a queue runs its work in order.
 */
export class BufferPool {
  private readonly device: GPUDevice;
  private readonly free = new Map<number, PoolBuffer[]>();
  private readonly onError: (where: string, scope: Promise<GPUError | null>) => void;
  private nextId = 1;
  private readonly stats: PoolStats = { liveBytes: 0, peakBytes: 0, liveBuffers: 0, freeBytes: 0 };
  private budgetBytes: number;

  constructor(device: GPUDevice, budget: number, onError: (where: string, scope: Promise<GPUError | null>) => void) {
    this.device = device;
    this.budgetBytes = budget;
    this.onError = onError;
  }

  /** Most bytes lent plus held. A lower one frees what is held beyond it; what is lent stays. */
  get budget(): number {
    return this.budgetBytes;
  }

  set budget(bytes: number) {
    this.budgetBytes = bytes;
    this.makeRoom(0);
  }

  /** Lends a buffer of at least `bytes`. Its content is undefined. Throws OutOfMemoryError beyond the budget or the device's limit. */
  allocate(bytes: number, where: string): PoolBuffer {
    const size = sizeClass(bytes);
    const reused = this.free.get(size)?.pop();
    if (reused) this.stats.freeBytes -= size;
    const buffer = reused ?? this.create(size, bytes, where);
    this.stats.liveBytes += size;
    this.stats.liveBuffers++;
    if (this.stats.liveBytes > this.stats.peakBytes) {
      this.stats.peakBytes = this.stats.liveBytes;
      this.onPeak();
    }
    return buffer;
  }

  release(buffer: PoolBuffer): void {
    this.stats.liveBytes -= buffer.bytes;
    this.stats.liveBuffers--;
    this.stats.freeBytes += buffer.bytes;
    const list = this.free.get(buffer.bytes);
    if (list) list.push(buffer);
    else this.free.set(buffer.bytes, [buffer]);
  }

  /**
   * Destroys buffers held for reuse, the largest first, until `bytes` are freed; without it all. The caller has submitted all work that
   * uses them.
   */
  trim(bytes = Infinity): void {
    let left = bytes;
    for (const size of [...this.free.keys()].sort((a, b) => b - a)) {
      const list = this.free.get(size)!;
      while (list.length && left > 0) {
        list.pop()!.gpu.destroy();
        this.stats.freeBytes -= size;
        left -= size;
      }
      if (!list.length) this.free.delete(size);
    }
  }

  get snapshot(): PoolStats {
    return { ...this.stats };
  }

  resetPeak(): void {
    this.stats.peakBytes = this.stats.liveBytes;
  }

  /** Called when more is lent than ever before. */
  onPeak: () => void = () => {};

  /** Called when the budget is reached, before giving up: submits open work so that `trim` is allowed. */
  beforeTrim: () => void = () => {};

  /** Frees buffers held for reuse until `bytes` more are within the budget, or none is left. */
  private makeRoom(bytes: number): void {
    const excess = this.stats.liveBytes + this.stats.freeBytes + bytes - this.budget;
    if (excess <= 0 || this.stats.freeBytes === 0) return;
    this.beforeTrim();
    this.trim(excess);
  }

  private create(size: number, asked: number, where: string): PoolBuffer {
    const { maxBufferSize } = this.device.limits;
    if (size > maxBufferSize) {
      throw new OutOfMemoryError(where, `needs a buffer of ${mebibytes(asked)}, but the adapter's maxBufferSize is ${mebibytes(maxBufferSize)}; use a smaller batch or preset`);
    }
    this.makeRoom(size);
    if (this.stats.liveBytes + size > this.budget) {
      throw new OutOfMemoryError(
        where,
        `needs ${mebibytes(asked)} more, but ${mebibytes(this.stats.liveBytes)} of the budget of ${mebibytes(this.budget)} are in use; use a smaller batch or preset, or a larger memory budget`,
      );
    }
    this.device.pushErrorScope('out-of-memory');
    this.device.pushErrorScope('validation');
    const gpu = this.device.createBuffer({
      label: `${where} (${size} B)`,
      size,
      usage: GPUBufferUsageFlags.STORAGE | GPUBufferUsageFlags.COPY_SRC | GPUBufferUsageFlags.COPY_DST,
    });
    this.onError(where, this.device.popErrorScope());
    this.onError(where, this.device.popErrorScope());
    return { id: this.nextId++, gpu, bytes: size, lastBatch: -1 };
  }
}

/** WebGPU's GPUBufferUsage values; the global object exists only in browsers. */
export const GPUBufferUsageFlags = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128, QUERY_RESOLVE: 512 } as const;

function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3));
  return Math.ceil(bytes / step) * step;
}

export function mebibytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
