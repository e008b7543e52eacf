/** The tuner: runs the plans of what ops met on scratch operands, checks that they agree, and pins the fastest. */
import { DeviceLostError, sizeOf, type Shape, type TuningStore } from '../engine/index.ts';
import type { Engine } from './engine.ts';
import { noGrad } from './grad-mode.ts';
import { converted } from './ops/cast.ts';
import type { OpenDecision, PlanChoices } from './plan-table.ts';
import { readRecord, tuningIdentity, writeRecord } from './tuning-record.ts';
import type { Tensor } from './tensor.ts';

/** Another plan must be so much faster than the fixed one: what is less may be noise, and is not worth other bits. */
const leastGain = 0.1;
/** A plan so many times as slow as the fastest is not run again: after one sample, which may have been held up, and after more. */
const hopeless = { atOnce: 8, later: 2 };
const mostRounds = 7;
/** Where the fixed plan's median is so many times its least time, other programs are in the way and nothing can be told apart. */
const mostUnrest = 2;
/** ms that a sample takes at least: repeats make up for short runs, whose submit would be what is timed. */
const leastSample = 4;
const mostRepeats = 64;
/** Largest difference of two plans' results, relative to the largest value: rounding of long sums stays far below, that of f16 results below. */
const agreement = 1e-3;
/** Elements of each result that are compared, from its beginning and its end. */
const compared = 1 << 14;

export interface TuneOptions {
  /** Seconds after which no further decision is begun. Default 20. */
  seconds?: number;
  /** A decision whose fixed plan takes less than this share of all that was met keeps it unmeasured. Default 0.005. */
  leastShare?: number;
  /** Where earlier results are read from and new ones are kept. A store that fails is told in `warnings`. */
  store?: TuningStore | null;
}

/** One decision that was made. */
export interface TunedPlan {
  key: string;
  fixed: string;
  plan: string;
  /** Least ms of each plan that ran; empty where the choice came from the store. */
  milliseconds: Record<string, number>;
  isStored: boolean;
}

export interface TuningReport {
  tuned: TunedPlan[];
  /** What these decisions are, for whoever wants to pin them again. */
  choices: PlanChoices;
  /** Decisions that the time did not suffice for, or whose operands did not fit: they keep the fixed plan. */
  left: number;
  /** Decisions that keep the fixed plan, and are not kept in the store, since other programs disturbed the measurement. */
  busy: number;
  seconds: number;
  warnings: string[];
}

/**
 * Decides what ops met since noting began: from the store where it knows, else by measuring. Operands are random and of the sizes
 * met; they go back to the pool, and from there to the adapter, before it returns. Not to be called inside an open scope of ops.
 */
export async function tunePlans(engine: Engine, { seconds = 20, leastShare = 0.005, store = null }: TuneOptions = {}): Promise<TuningReport> {
  const began = performance.now();
  const isLate = (): boolean => (performance.now() - began) / 1000 >= seconds;
  const { plans } = engine;
  const wasNoting = plans.isNoting;
  const identity = tuningIdentity(engine.device);
  const report: TuningReport = { tuned: [], choices: {}, left: 0, busy: 0, seconds: 0, warnings: [] };
  const stored = await readRecord(store, identity, report.warnings);
  const measured: Record<string, string> = {};
  const decide = (tuned: TunedPlan): void => {
    report.tuned.push(tuned);
    plans.pin({ [tuned.key]: tuned.plan });
  };
  plans.isNoting = false; // trials meet decisions too
  try {
    const open: OpenDecision[] = [];
    for (const each of plans.undecided) {
      const { key, decision } = each;
      const known = stored[key];
      if (known !== undefined && decision.plans.includes(known)) decide({ key, fixed: decision.plans[0], plan: known, milliseconds: {}, isStored: true });
      else open.push(each);
    }
    const costs: Cost[] = [];
    for (const each of open) {
      const milliseconds = isLate() ? null : await fixedTime(engine, each, report.warnings);
      if (milliseconds === null) report.left++;
      else costs.push({ open: each, milliseconds });
    }
    for (const { open: each, milliseconds } of worthMeasuring(costs, leastShare, (key, fixed, ms) => decide({ key, fixed, plan: fixed, milliseconds: { [fixed]: ms }, isStored: false }))) {
      const tuned = isLate() ? null : await measure(engine, each, milliseconds, report.warnings);
      if (!tuned) {
        report.left++;
        continue;
      }
      const { isBusy, ...decided } = tuned;
      if (isBusy) report.busy++;
      else measured[tuned.key] = tuned.plan;
      decide(decided);
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

/** A decision and what one run of its fixed plan takes. */
interface Cost {
  open: OpenDecision;
  milliseconds: number;
}

/** What takes a fair share of the time, the dearest first, but what is made of others last; `keep` is told of the rest. */
function worthMeasuring(costs: readonly Cost[], leastShare: number, keep: (key: string, fixed: string, milliseconds: number) => void): Cost[] {
  const costOf = ({ open, milliseconds }: Cost): number => open.seen * milliseconds;
  const total = costs.reduce((sum, cost) => sum + costOf(cost), 0);
  const isDear = (cost: Cost): boolean => costOf(cost) >= leastShare * total;
  for (const cost of costs) if (!isDear(cost)) keep(cost.open.key, cost.open.decision.plans[0], cost.milliseconds);
  const rank = ({ open }: Cost): number => Number(open.decision.isComposite ?? false);
  return costs.filter(isDear).sort((a, b) => rank(a) - rank(b) || costOf(b) - costOf(a));
}

/** ms of one run of the fixed plan; null where it does not run on scratch operands, for want of memory. */
function fixedTime(engine: Engine, open: OpenDecision, warnings: string[]): Promise<number | null> {
  return onScratch(engine, open, warnings, async (_, time) => {
    const [fixed] = open.decision.plans;
    await time(fixed, 1); // compiles
    return Math.min(await time(fixed, 1), await time(fixed, 1));
  });
}

function measure(engine: Engine, open: OpenDecision, milliseconds: number, warnings: string[]): Promise<(TunedPlan & { isBusy: boolean }) | null> {
  return onScratch(engine, open, warnings, async (run, time) => {
    const { key, decision } = open;
    const [fixed, ...others] = decision.plans;
    const expected = await valuesOf(engine, run, fixed);
    const right: string[] = [fixed];
    for (const plan of others) {
      const reason = await disagreement(engine, run, plan, expected);
      if (reason) warnings.push(`tune: ${key}: plan ${plan} is left out: ${reason}`);
      else right.push(plan);
    }
    const repeats = Math.max(1, Math.min(mostRepeats, Math.ceil(leastSample / Math.max(milliseconds, 1e-3))));
    return { key, fixed, isStored: false, ...(await fastestPlan(right, (plan) => time(plan, repeats))) };
  });
}

/** Runs `work` with a decision's operands; null, and a warning, where that fails. */
async function onScratch<R>(engine: Engine, { key, decision }: OpenDecision, warnings: string[], work: (run: Run, time: (plan: string, repeats: number) => Promise<number>) => Promise<R>): Promise<R | null> {
  try {
    return await engine.scope(async () => {
      const run = noGrad(() => decision.trial((shape) => randomOperand(engine, shape)));
      const once = (plan: string): void => engine.inOp(`tune ${decision.op}`, () => void noGrad(() => run(plan)));
      await engine.sync();
      return work(run, async (plan, repeats) => {
        const start = performance.now();
        for (let repeat = 0; repeat < repeats; repeat++) once(plan);
        await engine.sync();
        return (performance.now() - start) / repeats;
      });
    });
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
    warnings.push(`tune: ${key}: keeps plan ${decision.plans[0]}: ${(error as Error).message}`);
    return null;
  }
}

type Run = (plan: string) => readonly Tensor[];

/** The beginning and end of each result. */
async function valuesOf(engine: Engine, run: Run, plan: string): Promise<Float32Array[]> {
  return engine.scope(async () => {
    const { device } = engine;
    const parts: Float32Array[] = [];
    for (const { view } of noGrad(() => run(plan).map((result) => converted(result, 'f32')))) {
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
 * The fastest plan over rounds in which all take turns. `time` gives ms a run; every plan has run before, so that nothing is left to
 * compile. Other programs can only make a run longer, so the least time counts; but the first plan, the fixed one, is left only for
 * one that is faster by `leastGain` in its median too. `isBusy`: the times were too unsteady to leave it at all.
 */
export async function fastestPlan(plans: readonly string[], time: (plan: string) => Promise<number>): Promise<{ plan: string; milliseconds: Record<string, number>; isBusy: boolean }> {
  const [fixed] = plans as [string];
  const samples = new Map(plans.map((plan) => [plan, [] as number[]]));
  const least = (plan: string): number => Math.min(...samples.get(plan)!);
  let racing = [...plans];
  for (let round = 0; round < mostRounds && racing.length > 1; round++) {
    // Another one begins each round: what comes first may find the caches of the last.
    for (let turn = 0; turn < racing.length; turn++) {
      const plan = racing[(turn + round) % racing.length]!;
      samples.get(plan)!.push(await time(plan));
    }
    const best = Math.min(...racing.map(least));
    racing = racing.filter((plan) => least(plan) <= (round ? hopeless.later : hopeless.atOnce) * best);
  }
  const milliseconds = Object.fromEntries([...samples].filter(([, times]) => times.length).map(([plan]) => [plan, least(plan)]));
  const middle = (plan: string): number => median(samples.get(plan)!);
  const isBusy = plans.length > 1 && middle(fixed) > mostUnrest * least(fixed);
  const faster = racing.filter((plan) => [least, middle].every((of) => of(plan) < (1 - leastGain) * of(fixed))).sort((a, b) => least(a) - least(b));
  return { plan: isBusy ? fixed : (faster[0] ?? fixed), milliseconds, isBusy };
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
