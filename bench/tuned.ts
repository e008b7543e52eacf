/** `npm run bench -- --tune`: what the tuner chooses for a case, and what that gains against the fixed plans. */
import type { Engine, TunedPlan } from '../src/autograd/index.ts';
import type { BenchCase, PreparedCase } from './bench-case.ts';
import { median } from './statistics.ts';

/** Rounds in which the fixed and the tuned plans take turns. */
const rounds = 7;
const mostTuningSeconds = 60;

export interface TunedOutcome {
  family: string;
  name: string;
  /** Decisions whose tuned plan is another than the fixed one, with the ms of each plan that ran. */
  changed: Pick<TunedPlan, 'key' | 'plan' | 'milliseconds'>[];
  decisions: number;
  tuningSeconds: number;
  /** Medians in ms, forward and backward together, and the median of the rounds' ratios of the fixed to the tuned time. */
  fixed: number;
  tuned: number;
  gain: number;
}

/** One forward pass, and where there is one its backward pass, in ms. */
async function timeOnce(engine: Engine, prepared: PreparedCase): Promise<number> {
  await engine.sync();
  const start = performance.now();
  if (prepared.recordHistory) await engine.scope(() => prepared.recordHistory!()());
  else prepared.forward();
  await prepared.settle?.();
  await engine.sync();
  return performance.now() - start;
}

/** Measures afresh: nothing is read from the cache, nothing kept. */
export async function tuneCase(engine: Engine, bench: BenchCase): Promise<TunedOutcome> {
  const { plans } = engine;
  const prepared = await bench.prepare(engine);
  try {
    plans.reset();
    plans.isNoting = true;
    await timeOnce(engine, prepared);
    plans.isNoting = false;
    const { tuned, choices, seconds } = await engine.tune({ store: null, seconds: mostTuningSeconds });
    const times = { fixed: [] as number[], tuned: [] as number[] };
    await timeOnce(engine, prepared); // compiles what only the tuned plans need
    for (let round = 0; round < rounds; round++) {
      for (const kind of round % 2 ? (['tuned', 'fixed'] as const) : (['fixed', 'tuned'] as const)) {
        plans.reset();
        if (kind === 'tuned') plans.pin(choices);
        times[kind].push(await timeOnce(engine, prepared));
      }
    }
    return {
      family: bench.family, name: bench.name, decisions: tuned.length, tuningSeconds: seconds,
      changed: tuned.filter(({ plan, fixed }) => plan !== fixed).map(({ key, plan, milliseconds }) => ({ key, plan, milliseconds })),
      fixed: median(times.fixed), tuned: median(times.tuned), gain: median(times.fixed.map((fixed, round) => fixed / times.tuned[round]!)),
    };
  } finally {
    plans.isNoting = false;
    plans.reset();
    prepared.dispose();
    engine.device.flush();
    engine.device.pool.trim();
    globalThis.gc?.();
  }
}

export function describeTuned({ family, name, changed, decisions, tuningSeconds, fixed, tuned, gain }: TunedOutcome): string[] {
  return [
    `${family.padEnd(20)}${name.padEnd(46)}fixed ${fixed.toFixed(2)} ms, tuned ${tuned.toFixed(2)} ms: ${gain.toFixed(2)}×  (${changed.length} of ${decisions} plans changed, in ${tuningSeconds.toFixed(1)} s)`,
    ...changed.map(({ key, plan, milliseconds }) => `    ${key} → ${plan}  (${Object.entries(milliseconds).map(([each, time]) => `${each} ${time.toFixed(2)}`).join(', ')} ms)`),
  ];
}
