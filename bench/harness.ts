/** Checks a case, then times it. */
import { Bench } from 'tinybench';
import type { Engine } from '../src/autograd/index.ts';
import type { BenchCase, PreparedCase, Work } from './bench-case.ts';
import { measureCeiling, type Ceiling } from './ceiling.ts';
import { median, spread } from './statistics.ts';

/** The project's bounds for its ops: forward, backward. */
const usualTolerances = { forward: 1e-5, backward: 1e-4 };

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
  /** Why there are fewer runs than usual. */
  cut?: string;
}

export type Outcome =
  /** `ceiling` measured beside the case: on a machine that others use, only neighbours in time can be compared. */
  | { family: string; name: string; ceiling: Ceiling; timings: Timing[] }
  | { family: string; name: string; skipped: string; because?: 'slow' | 'unsupported' | 'cut' | 'left out' }
  | { family: string; name: string; failed: string };

export interface HarnessOptions {
  quick: boolean;
  /** Runs what would take minutes. */
  all: boolean;
  /** What a case should take at most: fewer runs are taken where one takes long. Default: no limit. */
  seconds?: number;
}

/** A case whose passes together take longer than this on a software adapter is skipped. */
const mostSeconds = 5;
/** Runs that tinybench takes at least, and runs whose kernels' own times are summed. */
const leastRuns = { quick: 2, usual: 5 };
const profiledRuns = { quick: 1, usual: 3 };
/** Seconds that the smallest case takes with its preparation. */
const caseOverhead = 3;
/** Of a case's time, for its passes; preparing and checking come out of it first. */
const shareOfTime = 0.8;
/** Of the ceiling, guessed before anything is measured. */
const assumedShare = 0.3;

/** The outcome of a case that the adapter cannot run, or that would take a software adapter too long; null of all others. */
export function whyNotRun(engine: Engine, bench: BenchCase, ceiling: Ceiling, { all }: HarnessOptions): Outcome | null {
  const { family, name, needsF16 } = bench;
  if (needsF16 && !engine.device.canF16) return { family, name, because: 'unsupported', skipped: 'needs the feature "shader-f16", which this adapter does not offer' };
  const seconds = secondsExpected(bench, ceiling);
  if (!engine.device.isSoftware || all || seconds <= mostSeconds) return null;
  return { family, name, because: 'slow', skipped: `about ${seconds.toFixed(0)} s a run on this software adapter; --all runs it` };
}

export async function runCase(engine: Engine, bench: BenchCase, atStart: Ceiling, options: HarnessOptions): Promise<Outcome> {
  const { family, name, forward, backward, tolerances = usualTolerances } = bench;
  const notRun = whyNotRun(engine, bench, atStart, options);
  if (notRun) return notRun;
  const end = performance.now() + 1000 * shareOfTime * (options.seconds ?? Infinity);
  let prepared: PreparedCase | null = null;
  try {
    prepared = await bench.prepare(engine);
    const errors = await prepared.check();
    for (const pass of ['forward', 'backward'] as const) {
      const error = errors[pass];
      if (error !== undefined && !(error <= tolerances[pass])) return { family, name, failed: `${pass} is wrong: relative error ${error.toExponential(1)}, at most ${tolerances[pass]} is right` };
    }
    const ceiling = await measureCeiling(engine, atStart.plan);
    const both = backward && prepared.recordHistory;
    const half = (end + performance.now()) / 2;
    const timings = [await time(engine, prepared, { pass: 'forward', work: forward, error: errors.forward, ceiling, isQuick: options.quick, end: both ? half : end })];
    if (both) timings.push(await time(engine, prepared, { pass: 'backward', work: backward, error: errors.backward!, ceiling, isQuick: options.quick, end }));
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

/** Of all that is done with a case, for an ETA: its checks and its runs, and next to nothing for one that is too slow. In whole seconds. */
export function secondsToMeasure(bench: BenchCase, ceiling: Ceiling, { quick, all, seconds = Infinity }: HarnessOptions, isSoftware: boolean): number {
  const expected = secondsExpected(bench, ceiling);
  if (isSoftware && !all && expected > mostSeconds) return 0;
  const kind = quick ? 'quick' : 'usual';
  return Math.round(Math.min(seconds, caseOverhead + expected * (2 + leastRuns[kind] + profiledRuns[kind])));
}

function secondsAtBest({ flop, bytes }: Work, { flops, bandwidth }: Ceiling): number {
  return Math.max(flop / flops, bytes / bandwidth);
}

interface Timed {
  pass: Timing['pass'];
  work: Work;
  error: number;
  ceiling: Ceiling;
  isQuick: boolean;
  /** When it should be done, on `performance.now`. */
  end: number;
}

async function time(engine: Engine, prepared: PreparedCase, { pass, work, error, ceiling, isQuick, end }: Timed): Promise<Timing> {
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
  const kind = isQuick ? 'quick' : 'usual';
  const first = await millisecondsOf(() => engine.scope(() => before().then(run))); // warm-up
  const { iterations, profiled } = runsWithin(end - performance.now(), first, { iterations: leastRuns[kind], profiled: profiledRuns[kind] });
  const bench = new Bench({ time: Math.min(isQuick ? 50 : 600, Math.max(0, end - performance.now())), iterations, warmup: false, retainSamples: true, throws: true });
  // Scopes are the harness's own: tinybench runs the preparation outside the timed stretch.
  bench.add(pass, run, { beforeEach: before });
  await engine.scope(() => bench.run().then(() => {}));
  const { latency } = bench.tasks[0]!.result as unknown as { latency: { samples: number[] } };
  const milliseconds = median(latency.samples);
  const gpuMilliseconds = profiled ? await kernelTime(engine, before, run, profiled) : null;
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
    ...(iterations < leastRuns[kind] ? { cut: `${iterations} of ${leastRuns[kind]} runs, since one took ${(first / 1000).toFixed(1)} s` } : {}),
  };
}

async function millisecondsOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** How many timed and profiled runs fit in what is left, in ms, where one takes `each`; one timed run always. */
export function runsWithin(left: number, each: number, usual: { iterations: number; profiled: number }): { iterations: number; profiled: number } {
  const fit = Math.floor(left / each);
  const iterations = Math.max(1, Math.min(usual.iterations, fit));
  return { iterations, profiled: Math.max(0, Math.min(usual.profiled, fit - iterations)) };
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
