import { GPUBufferUsageFlags } from './buffers.ts';

/** GPU time of one kernel over a profiled stretch, from timestamp queries. */
export interface KernelTime {
  kernel: string;
  dispatches: number;
  milliseconds: number;
}

/** One dispatch. `begin` and `end` in ms of `performance.now()`, as far as the clocks could be aligned. */
export interface DispatchTime {
  kernel: string;
  op: string;
  batch: number;
  begin: number;
  end: number;
}

export interface DeviceProfile {
  /** In the order of their beginnings. */
  dispatches: DispatchTime[];
  /** Sums over the dispatches of each kernel, the dearest first. */
  kernels: KernelTime[];
  /** ms by which all of `dispatches` together may lie too early against the CPU's clock. */
  clockUncertainty: number;
}

/** In ms of `performance.now()`. */
export interface Stretch {
  from: number;
  until: number;
}

const capacity = 2048; // timestamps a query set holds: 1024 dispatches between two reads

interface Recorded {
  kernel: string;
  op: string;
  batch: number;
}

/** Timestamps of one submit (ns of the GPU), and the moments of the CPU between which they lie (ms). */
interface Submit {
  recorded: Recorded[];
  times: BigUint64Array;
  submitted: number;
  mapped: number;
}

/** Records a begin and end timestamp a dispatch. Each profiled dispatch runs in a compute pass of its own. */
export class Profiler {
  private readonly device: GPUDevice;
  private readonly querySet: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private recorded: Recorded[] = [];
  private readonly pending: Promise<Submit>[] = [];

  constructor(device: GPUDevice) {
    this.device = device;
    this.querySet = device.createQuerySet({ label: 'profile', type: 'timestamp', count: capacity });
    this.resolved = device.createBuffer({ label: 'profile', size: capacity * 8, usage: GPUBufferUsageFlags.QUERY_RESOLVE | GPUBufferUsageFlags.COPY_SRC });
  }

  get full(): boolean {
    return this.recorded.length * 2 >= capacity;
  }

  timestampWrites(dispatch: Recorded): GPUComputePassTimestampWrites {
    const first = this.recorded.length * 2;
    this.recorded.push(dispatch);
    return { querySet: this.querySet, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
  }

  /** Encodes the resolve of what was recorded since the last call; `submitted` has to be called after the submit. */
  resolve(encoder: GPUCommandEncoder): { submitted: () => void } {
    const { recorded } = this;
    this.recorded = [];
    if (recorded.length === 0) return { submitted: () => {} };
    const bytes = recorded.length * 16;
    const staging = this.device.createBuffer({ label: 'profile staging', size: bytes, usage: GPUBufferUsageFlags.MAP_READ | GPUBufferUsageFlags.COPY_DST });
    encoder.resolveQuerySet(this.querySet, 0, recorded.length * 2, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, bytes);
    const submitted = performance.now();
    return {
      submitted: () => {
        this.pending.push(
          staging.mapAsync(1).then(() => {
            const mapped = performance.now();
            const times = new BigUint64Array(staging.getMappedRange().slice(0));
            staging.destroy();
            return { recorded, times, submitted, mapped };
          }),
        );
      },
    };
  }

  async finish(stretch?: Stretch): Promise<DeviceProfile> {
    const submits = await Promise.all(this.pending);
    this.querySet.destroy();
    this.resolved.destroy();
    return alignClocks(submits, stretch);
  }
}

/**
 * WebGPU tells no moment that both clocks saw, but each submit bounds what lies between them: its first dispatch begins after the CPU
 * submitted it, its last ends before the CPU may map the timestamps. One distance for the whole profile is the least that begins no
 * dispatch before its submit, exact but for the shortest latency of all submits; how far it could be larger is the uncertainty. A
 * drift of the clocks against each other within the profile is neglected. Gives the dispatches that were at work in `stretch`.
 */
export function alignClocks(submits: readonly Submit[], { from, until }: Stretch = { from: -Infinity, until: Infinity }): DeviceProfile {
  const origin = submits[0]?.times[0] ?? 0n;
  const milliseconds = (time: bigint): number => Number(time - origin) / 1e6;
  let [least, most] = [-Infinity, Infinity];
  for (const { recorded, times, submitted, mapped } of submits) {
    least = Math.max(least, submitted - milliseconds(times[0]!));
    most = Math.min(most, mapped - milliseconds(times[2 * recorded.length - 1]!));
  }
  const dispatches = submits.flatMap(({ recorded, times }) =>
    recorded.map((dispatch, i) => {
      const begin = milliseconds(times[2 * i]!) + least;
      return { ...dispatch, begin, end: Math.max(begin, milliseconds(times[2 * i + 1]!) + least) };
    }),
  );
  const within = dispatches.filter(({ begin, end }) => end >= from && begin <= until).sort((a, b) => a.begin - b.begin);
  return { dispatches: within, kernels: kernelTimes(within), clockUncertainty: submits.length ? Math.abs(most - least) : 0 };
}

function kernelTimes(dispatches: readonly DispatchTime[]): KernelTime[] {
  const totals = new Map<string, KernelTime>();
  for (const { kernel, begin, end } of dispatches) {
    const total = totals.get(kernel) ?? { kernel, dispatches: 0, milliseconds: 0 };
    total.dispatches++;
    total.milliseconds += end - begin;
    totals.set(kernel, total);
  }
  return [...totals.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
