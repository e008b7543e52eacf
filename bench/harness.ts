/** Checks a case, then times it. */
import { Bench } from 'tinybench';
import type { Engine } from '../src/autograd/index.ts';
import type { BenchCase, PreparedCase, Work } from './bench-case.ts';
import { measureCeiling, type Ceiling } from './ceiling.ts';
import { median, spread } from './statistics.ts';

/** The project's bounds for its ops: forward, backward. */
const tolerances = { forward: 1e-5, backward: 1e-4 };

export interface Timing {
  pass: 'forward' | 'backward';
  /** Of one run on the clock: median, spread (half the quartiles' distance over the median), number of runs. */
  milliseconds: number;
  spread: number;
  runs: number;
  /** Sum of the kernels' own times, from timestamps; null where the adapter has none. */
  gpuMilliseconds: number | null;
  error: number;
  /** GFLOP/s and GB/s that the task's own work makes of the time: timestamps on hardware, the clock on software. */
  gflops: number;
  gigabytes: number;
  /** Share of the nearer ceiling, and which. */
  share: number;
  bound: 'arithmetic' | 'memory';
}

export type Outcome =
  /** `ceiling` measured beside the case: on a machine that others use, only neighbours in time can be compared. */
  | { family: string; name: string; ceiling: Ceiling; timings: Timing[] }
  | { family: string; name: string; skipped: string }
  | { family: string; name: string; failed: string };

export interface HarnessOptions {
  quick: boolean;
  /** Runs what would take minutes. */
  all: boolean;
}

/** A case whose passes together take longer than this on a software adapter is skipped. */
export const mostSeconds = 5;
/** Of the ceiling, guessed before anything is measured. */
const assumedShare = 0.3;

export async function runCase(engine: Engine, bench: BenchCase, atStart: Ceiling, { quick, all }: HarnessOptions): Promise<Outcome> {
  const { family, name, forward, backward } = bench;
  const seconds = secondsExpected(bench, atStart);
  if (engine.device.isSoftware && !all && seconds > mostSeconds) return { family, name, skipped: `about ${seconds.toFixed(0)} s a run on this software adapter; --all runs it` };
  let prepared: PreparedCase | null = null;
  try {
    prepared = await bench.prepare(engine);
    const errors = await prepared.check();
    for (const pass of ['forward', 'backward'] as const) {
      const error = errors[pass];
      if (error !== undefined && !(error <= tolerances[pass])) return { family, name, failed: `${pass} is wrong: relative error ${error.toExponential(1)}, at most ${tolerances[pass]} is right` };
    }
    const ceiling = await measureCeiling(engine, atStart.plan);
    const timings = [await time(engine, prepared, 'forward', forward, errors.forward, ceiling, quick)];
    if (backward && prepared.recordHistory) timings.push(await time(engine, prepared, 'backward', backward, errors.backward!, ceiling, quick));
    return { family, name, ceiling, timings };
  } catch (error) {
    return { family, name, failed: error instanceof Error ? error.message : String(error) };
  } finally {
    prepared?.dispose();
    engine.device.flush();
    engine.device.pool.trim();
    globalThis.gc?.();
  }
}

/** Of one forward and backward pass, before anything of the case is measured. */
export function secondsExpected({ forward, backward }: BenchCase, ceiling: Ceiling): number {
  return [forward, backward].reduce((sum, work) => sum + (work ? secondsAtBest(work, ceiling) / assumedShare : 0), 0);
}

function secondsAtBest({ flop, bytes }: Work, { flops, bandwidth }: Ceiling): number {
  return Math.max(flop / flops, bytes / bandwidth);
}

async function time(engine: Engine, prepared: PreparedCase, pass: Timing['pass'], work: Work, error: number, ceiling: Ceiling, quick: boolean): Promise<Timing> {
  let record: () => void | Promise<void> = prepared.forward;
  const before = async (): Promise<void> => {
    if (pass === 'backward') record = prepared.recordHistory!();
    await engine.sync();
  };
  const run = async (): Promise<void> => {
    await record();
    await prepared.settle?.();
    await engine.sync();
  };
  const bench = new Bench({ time: quick ? 50 : 600, iterations: quick ? 2 : 5, warmup: true, warmupTime: 0, warmupIterations: 1, retainSamples: true, throws: true });
  // Scopes are the harness's own: tinybench runs the preparation outside the timed stretch.
  bench.add(pass, run, { beforeEach: before });
  await engine.scope(() => bench.run().then(() => {}));
  const { latency } = bench.tasks[0]!.result as unknown as { latency: { samples: number[] } };
  const milliseconds = median(latency.samples);
  const gpuMilliseconds = await kernelTime(engine, before, run, quick ? 1 : 3);
  const { isSoftware } = engine.device;
  const seconds = (isSoftware || gpuMilliseconds === null ? milliseconds : gpuMilliseconds) / 1000;
  const bound = work.flop / ceiling.flops > work.bytes / ceiling.bandwidth ? 'arithmetic' : 'memory';
  return {
    pass,
    milliseconds,
    spread: spread(latency.samples),
    runs: latency.samples.length,
    gpuMilliseconds,
    error,
    gflops: work.flop / seconds / 1e9,
    gigabytes: work.bytes / seconds / 1e9,
    share: secondsAtBest(work, ceiling) / seconds,
    bound,
  };
}

/** Median over some runs of the sum of all kernels' times. */
async function kernelTime(engine: Engine, before: () => Promise<void>, run: () => Promise<void>, runs: number): Promise<number | null> {
  if (!engine.device.gpu.features.has('timestamp-query')) return null;
  const sums: number[] = [];
  for (let index = 0; index < runs; index++) {
    await engine.scope(async () => {
      await before();
      const kernels = await engine.device.profile(run);
      sums.push(kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0));
    });
  }
  return median(sums);
}
