/** `ct-lite train --memory`: the plan of a run's GPU memory, made before its first step and kept when it is resumed. */
import { presets, tokenGrid } from '../model/index.ts';
import { defaultMemoryBudget } from '../platform/node-memory.ts';
import { countMemory, describePlan, measuresInOrder, planMemory, textBounds, type MemoryPlan, type RunOutline, type RunState } from '../train/index.ts';
import type { CohortSession, OpenedEngine } from './cohort-session.ts';

/**
 * Plans how the rest of the run keeps within `given` bytes, or within what the machine has, and puts the measures into `state.config`.
 * @throws Error with the least that would do, where all measures are not enough
 */
export async function planRunMemory({ engine, kind }: OpenedEngine, state: RunState, { cohort }: CohortSession, given: number | undefined): Promise<MemoryPlan> {
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
    budget: given === undefined ? defaultMemoryBudget(kind, device.adapterInfo.vendor) : { bytes: given, origin: 'given' },
    batch: config.batch,
    volumes,
    candidates: measuresInOrder(tokenGrid(presets[config.preset].encoder)[0], device.isSoftware),
    count: (measures, batch) => countMemory(engine, { ...outline, config: { ...config, batch } }, measures),
  });
  config.measures = plan.measures;
  return plan;
}

/** Holds the run to the plan's budget, unless that was only assumed, and says it. */
export function keepToPlan({ engine }: OpenedEngine, plan: MemoryPlan, say: (line: string) => void): void {
  if (plan.budget.origin !== 'assumed') engine.device.pool.budget = plan.budget.bytes;
  for (const line of describePlan(plan)) say(line);
}
