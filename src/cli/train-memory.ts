/** `ct-lite train --memory`: the plan of a run's GPU memory, made before its first step and kept when it is resumed. */
import { presets, tokenGrid } from '../model/index.ts';
import { defaultMemoryBudget } from '../platform/node-memory.ts';
import { countMemory, describePlan, measuresInOrder, planMemory, textBounds, type MemoryPlan, type RunOutline, type RunState } from '../train/index.ts';
import type { CohortSession, OpenedEngine } from './cohort-session.ts';

export interface MemoryWish {
  /** What `--memory` gives; without it what the machine has. */
  bytes: number | undefined;
  /** Whether activations may become f16: in a new run whose precision was not asked for. */
  mayHalve: boolean;
}

/**
 * Plans how the rest of the run keeps within memory, and puts the measures into `state.config`.
 * @throws Error with the least that would do, where all measures are not enough
 */
export async function planRunMemory({ engine, kind }: OpenedEngine, state: RunState, { cohort }: CohortSession, { bytes, mayHalve }: MemoryWish): Promise<MemoryPlan> {
  const { config, position, tokenizer } = state;
  const { device } = engine;
  const scans = cohort.scans.filter(({ split }) => split === 'train');
  const volumes = Math.min(config.virtualBatch ?? config.batch, scans.length);
  const outline: RunOutline = {
    config, position, volumes,
    has: { teacher: state.teacher !== null, student: state.student !== null, projectors: state.projectors !== null },
    vocabularySize: tokenizer.vocabularySize,
    texts: textBounds(scans, tokenizer, config.text, volumes),
  };
  const plan = await planMemory({
    budget: bytes === undefined ? defaultMemoryBudget(kind, device.adapterInfo.vendor) : { bytes, origin: 'given' },
    batch: config.batch,
    volumes,
    candidates: measuresInOrder(tokenGrid(presets[config.preset].encoder)[0], { holdsScores: device.isSoftware, precision: config.precision ?? 'f32', mayHalve: mayHalve && device.canF16 }),
    count: ({ precision, ...measures }, batch) => countMemory(engine, { ...outline, config: { ...config, batch, precision } }, measures),
  });
  const { precision, ...measures } = plan.measures;
  config.measures = measures;
  if (precision === 'f16') config.precision = precision;
  return plan;
}

/** Holds the run to the plan's budget, unless that was only assumed, and says it. */
export function keepToPlan({ engine }: OpenedEngine, plan: MemoryPlan, say: (line: string) => void): void {
  if (plan.budget.origin !== 'assumed') engine.device.pool.budget = plan.budget.bytes;
  for (const line of describePlan(plan)) say(line);
}
