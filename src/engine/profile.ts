import { GPUBufferUsageFlags } from './buffers.ts';

/** GPU time of one kernel over a profiled stretch, from timestamp queries. */
export interface KernelTime {
  kernel: string;
  dispatches: number;
  milliseconds: number;
}

const capacity = 2048; // timestamps a query set holds: 1024 dispatches between two reads

/** Records a begin and end timestamp a dispatch. Each profiled dispatch runs in a compute pass of its own. */
export class Profiler {
  private readonly device: GPUDevice;
  private readonly querySet: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private labels: string[] = [];
  private readonly pending: Promise<void>[] = [];
  private readonly totals = new Map<string, KernelTime>();

  constructor(device: GPUDevice) {
    this.device = device;
    this.querySet = device.createQuerySet({ label: 'profile', type: 'timestamp', count: capacity });
    this.resolved = device.createBuffer({ label: 'profile', size: capacity * 8, usage: GPUBufferUsageFlags.QUERY_RESOLVE | GPUBufferUsageFlags.COPY_SRC });
  }

  get full(): boolean {
    return this.labels.length * 2 >= capacity;
  }

  timestampWrites(label: string): GPUComputePassTimestampWrites {
    const first = this.labels.length * 2;
    this.labels.push(label);
    return { querySet: this.querySet, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
  }

  /** Encodes the resolve of what was recorded since the last call; `submitted` has to be called after the submit. */
  resolve(encoder: GPUCommandEncoder): { submitted: () => void } {
    const labels = this.labels;
    this.labels = [];
    if (labels.length === 0) return { submitted: () => {} };
    const bytes = labels.length * 16;
    const staging = this.device.createBuffer({ label: 'profile staging', size: bytes, usage: GPUBufferUsageFlags.MAP_READ | GPUBufferUsageFlags.COPY_DST });
    encoder.resolveQuerySet(this.querySet, 0, labels.length * 2, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, bytes);
    return {
      submitted: () => {
        this.pending.push(
          staging.mapAsync(1).then(() => {
            const times = new BigUint64Array(staging.getMappedRange().slice(0));
            staging.destroy();
            labels.forEach((label, i) => this.add(label, Number(times[2 * i + 1]! - times[2 * i]!) / 1e6));
          }),
        );
      },
    };
  }

  /** Kernel times, the dearest first. */
  async finish(): Promise<KernelTime[]> {
    await Promise.all(this.pending);
    this.querySet.destroy();
    this.resolved.destroy();
    return [...this.totals.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }

  private add(kernel: string, milliseconds: number): void {
    const total = this.totals.get(kernel) ?? { kernel, dispatches: 0, milliseconds: 0 };
    total.dispatches++;
    total.milliseconds += milliseconds;
    this.totals.set(kernel, total);
  }
}
