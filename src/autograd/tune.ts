/** The tuner: runs the plans of what ops met on scratch operands, checks that they agree, and pins the fastest. */
import { DeviceLostError, sizeOf, type Shape, type TuningStore } from '../engine/index.ts';
import type { Engine } from './engine.ts';
import { noGrad } from './grad-mode.ts';
import type { OpenDecision, PlanChoices } from './plan-table.ts';
import { readRecord, tuningIdentity, writeRecord } from './tuning-record.ts';
import type { Tensor } from './tensor.ts';

/** Another plan must be so much faster than the fixed one: what is less may be noise, and is not worth other bits. */
const leastGain = 0.1;
/** A plan so many times as slow as the fastest is not run again: after one sample, which may have been held up, and after more. */
const hopeless = { atOnce: 8, later: 2 };
const mostRounds = 5;
/** ms that a sample takes at least: repeats make up for short runs, whose submit would be what is timed. */
const leastSample = 4;
const mostRepeats = 64;
/** Largest difference of two plans' results, relative to the largest value: rounding of long sums stays far below. */
const agreement = 1e-3;
/** Elements of each result that are compared, from its beginning and its end. */
const compared = 1 << 14;

export interface TuneOptions {
  /** Seconds after which no further decision is begun. Default 20. */
  seconds?: number;
  /** Where earlier results are read from and new ones are kept. A store that fails is told in `warnings`. */
  store?: TuningStore | null;
}

/** One decision that was made. */
export interface TunedPlan {
  key: string;
  fixed: string;
  plan: string;
  /** Median ms of each plan that ran; empty where the choice came from the store. */
  milliseconds: Record<string, number>;
  isStored: boolean;
}

export interface TuningReport {
  tuned: TunedPlan[];
  /** What these decisions are, for whoever wants to pin them again. */
  choices: PlanChoices;
  /** Decisions that the time did not suffice for, or whose operands did not fit: they keep the fixed plan. */
  left: number;
  seconds: number;
  warnings: string[];
}

/**
 * Decides what ops met since noting began: from the store where it knows, else by measuring. Operands are random and of the sizes
 * met; they go back to the pool, and from there to the adapter, before it returns. Not to be called inside an open scope of ops.
 */
export async function tunePlans(engine: Engine, { seconds = 20, store = null }: TuneOptions = {}): Promise<TuningReport> {
  const began = performance.now();
  const { plans } = engine;
  const wasNoting = plans.isNoting;
  const identity = tuningIdentity(engine.device);
  const report: TuningReport = { tuned: [], choices: {}, left: 0, seconds: 0, warnings: [] };
  const stored = await readRecord(store, identity, report.warnings);
  const measured: Record<string, string> = {};
  plans.isNoting = false; // trials meet decisions too
  try {
    for (const open of plans.undecided) {
      const known = stored[open.key];
      if (known !== undefined && open.decision.plans.includes(known)) report.tuned.push({ key: open.key, fixed: open.decision.plans[0], plan: known, milliseconds: {}, isStored: true });
      else if ((performance.now() - began) / 1000 >= seconds) {
        report.left++;
        continue;
      } else {
        const tuned = await measure(engine, open, report.warnings);
        if (!tuned) {
          report.left++;
          continue;
        }
        measured[open.key] = tuned.plan;
        report.tuned.push(tuned);
      }
      plans.pin({ [open.key]: report.tuned.at(-1)!.plan });
    }
  } finally {
    plans.isNoting = wasNoting;
    engine.device.flush();
    engine.device.pool.trim();
  }
  report.choices = Object.fromEntries(report.tuned.map(({ key, plan }) => [key, plan]));
  if (Object.keys(measured).length) await writeRecord(store, identity, measured, report.warnings);
  report.seconds = (performance.now() - began) / 1000;
  return report;
}

/** Null where the fixed plan itself does not run on scratch operands, for want of memory. */
async function measure(engine: Engine, { key, decision }: OpenDecision, warnings: string[]): Promise<TunedPlan | null> {
  const [fixed] = decision.plans;
  try {
    return await engine.scope(async () => {
      const run = noGrad(() => decision.trial((shape) => randomOperand(engine, shape)));
      const once = (plan: string): void => engine.inOp(`tune ${decision.op}`, () => void noGrad(() => run(plan)));
      const expected = await valuesOf(engine, run, fixed);
      const right: string[] = [fixed];
      for (const plan of decision.plans.slice(1)) {
        const reason = await disagreement(engine, run, plan, expected);
        if (reason) warnings.push(`tune: ${key}: plan ${plan} is left out: ${reason}`);
        else right.push(plan);
      }
      const { plan, milliseconds } = await fastestPlan(right, async (each, repeats) => {
        const start = performance.now();
        for (let repeat = 0; repeat < repeats; repeat++) once(each);
        await engine.sync();
        return (performance.now() - start) / repeats;
      });
      return { key, fixed, plan, milliseconds, isStored: false };
    });
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
    warnings.push(`tune: ${key}: keeps plan ${fixed}: ${(error as Error).message}`);
    return null;
  }
}

type Run = (plan: string) => readonly Tensor[];

/** The beginning and end of each result. */
async function valuesOf(engine: Engine, run: Run, plan: string): Promise<Float32Array[]> {
  return engine.scope(async () => {
    const { device } = engine;
    const parts: Float32Array[] = [];
    for (const { view } of noGrad(() => run(plan))) {
      const bytes = Math.min(view.bytes, 4 * compared);
      for (const offset of view.bytes > bytes ? [0, view.bytes - bytes] : [0]) parts.push(new Float32Array(await device.read({ ...view, offset: view.offset + offset, bytes })));
    }
    return parts;
  });
}

/** Why a plan cannot stand in for the fixed one, or null. */
async function disagreement(engine: Engine, run: Run, plan: string, expected: readonly Float32Array[]): Promise<string | null> {
  try {
    const got = await valuesOf(engine, run, plan);
    const errors = expected.map((values, part) => relativeDifference(got[part]!, values));
    const worst = Math.max(...errors.map((error) => (Number.isNaN(error) ? Infinity : error)));
    return worst <= agreement ? null : `its results differ by ${worst.toExponential(1)} from those of the fixed plan`;
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
    return (error as Error).message.split('\n')[0]!;
  }
}

function relativeDifference(got: Float32Array, expected: Float32Array): number {
  let [difference, largest] = [0, 0];
  expected.forEach((value, index) => {
    const error = Math.abs(got[index]! - value);
    difference = Number.isNaN(error) ? NaN : Math.max(difference, error);
    largest = Math.max(largest, Math.abs(value));
  });
  return difference / (largest || 1);
}

/**
 * The plan with the least median time over rounds in which all take turns; the first, the fixed one, unless another is faster by
 * `leastGain`. `time` gives ms a run over so many repeats. Every plan has run before: nothing is left to compile.
 */
export async function fastestPlan(plans: readonly string[], time: (plan: string, repeats: number) => Promise<number>): Promise<{ plan: string; milliseconds: Record<string, number> }> {
  const [fixed] = plans as [string];
  const first = await time(fixed, 1);
  const repeats = Math.max(1, Math.min(mostRepeats, Math.ceil(leastSample / Math.max(first, 1e-3))));
  const samples = new Map(plans.map((plan) => [plan, [] as number[]]));
  let racing = [...plans];
  for (let round = 0; round < mostRounds && racing.length > 1; round++) {
    // Another one begins each round: what comes first may find the caches of the last.
    for (let turn = 0; turn < racing.length; turn++) {
      const plan = racing[(turn + round) % racing.length]!;
      samples.get(plan)!.push(await time(plan, repeats));
    }
    const least = Math.min(...racing.map((plan) => median(samples.get(plan)!)));
    racing = racing.filter((plan) => Math.min(...samples.get(plan)!) <= (round ? hopeless.later : hopeless.atOnce) * least);
  }
  const milliseconds = Object.fromEntries([...samples].filter(([, times]) => times.length).map(([plan, times]) => [plan, median(times)]));
  const best = racing.reduce((left, right) => (milliseconds[right]! < (milliseconds[left] ?? Infinity) ? right : left), racing[0] ?? fixed);
  const gains = milliseconds[fixed] === undefined || milliseconds[best]! < (1 - leastGain) * milliseconds[fixed];
  return { plan: gains ? best : fixed, milliseconds };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

const blockSize = 1 << 16;
let block: Float32Array<ArrayBuffer> | null = null;

/** Seeded values in [−1, 1], a block of them over and over. */
function randomOperand(engine: Engine, shape: Shape): Tensor {
  if (!block) {
    block = new Float32Array(blockSize);
    let state = 1;
    for (let index = 0; index < blockSize; index++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      block[index] = state / 2 ** 31 - 1;
    }
  }
  const values = new Float32Array(sizeOf(shape));
  for (let at = 0; at < values.length; at += blockSize) values.set(at + blockSize <= values.length ? block : block.subarray(0, values.length - at), at);
  return engine.tensor(values, shape);
}
