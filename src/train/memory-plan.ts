/** Which measures a run takes to keep within a memory budget. */
import type { FloatType } from '../autograd/index.ts';
import { NO_MEASURES, type MemoryMeasures } from '../model/index.ts';
import type { MemoryCount } from './count-memory.ts';

export interface MemoryBudget {
  bytes: number;
  /**
   * Who says so: the user; what is free on the machine, where the adapter computes on the CPU or shares its memory; or nobody, since
   * WebGPU does not tell how much memory a GPU has. Only the last may be exceeded.
   */
  origin: 'given' | 'available' | 'assumed';
}

/** What a run does to hold less. */
export interface Savings extends MemoryMeasures {
  /** Of activations and their gradients. */
  precision: FloatType;
}

export interface MemoryPlan {
  measures: Savings;
  /** What the dearest step takes with them. */
  count: MemoryCount;
  budget: MemoryBudget;
}

export interface PlanRequest {
  budget: MemoryBudget;
  /** Volumes at once, and those of a step. */
  batch: number;
  volumes: number;
  /** Measures in the order in which they are taken: `measuresInOrder`. */
  candidates: readonly Readonly<Savings>[];
  /** What the dearest step takes with so many volumes at once. */
  count: (measures: Readonly<Savings>, batch: number) => Promise<MemoryCount>;
}

export interface OrderOptions {
  /** Whether the adapter's own plan of attention holds scores. */
  holdsScores: boolean;
  /** Of the run as it is. Default f32. */
  precision?: FloatType;
  /** Whether f16 may be chosen. */
  mayHalve?: boolean;
}

/** Enough for the texts of a step to take less than its volumes. */
const textParts = 4;

/**
 * From nothing to everything: checkpointed blocks, then a stem in ever more slabs of the `planes` that it gives, then texts in parts, then
 * attention without scores, where the adapter's own plan would hold some, then activations in f16, which alone of them changes results by
 * more than the rounding of f32, where that may be chosen.
 */
export function measuresInOrder(planes: number, { holdsScores, precision = 'f32', mayHalve = false }: OrderOptions): Savings[] {
  const none: Savings = { ...NO_MEASURES, precision };
  const checkpointed = { ...none, checkpointBlocks: true };
  const slabs: number[] = [];
  for (let count = 2; count < planes; count *= 2) slabs.push(count);
  if (planes > 1) slabs.push(planes);
  const slabbed = slabs.map((stemSlabs) => ({ ...checkpointed, stemSlabs }));
  const most = { ...(slabbed.at(-1) ?? checkpointed), textParts };
  const fused = { ...most, fusedAttention: holdsScores };
  return [none, checkpointed, ...slabbed, most, ...(holdsScores ? [fused] : []), ...(mayHalve && precision === 'f32' ? [{ ...fused, precision: 'f16' as const }] : [])];
}

/**
 * The first of the candidates whose count is within the budget; beyond an assumed budget the one that takes least.
 * @throws Error with the least that would do, and with the largest batch that would, where none is within the budget
 */
export async function planMemory(request: PlanRequest): Promise<MemoryPlan> {
  const { budget, batch, candidates, count } = request;
  let least: MemoryPlan | null = null;
  for (const measures of candidates) {
    const plan = { measures: { ...measures }, count: await count(measures, batch), budget };
    if (plan.count.peakBytes <= budget.bytes) return plan;
    if (!least || plan.count.peakBytes < least.count.peakBytes) least = plan;
  }
  if (budget.origin === 'assumed') return least!;
  throw await tooLittle(request, least!);
}

async function tooLittle({ budget, batch, volumes, count }: PlanRequest, least: MemoryPlan): Promise<Error> {
  const { peakBytes, stage, op } = least.count;
  const origin = budget.origin === 'given' ? `--memory gives ${megabytes(budget.bytes)}` : `70 % of the memory that is free are ${megabytes(budget.bytes)}`;
  const needed = `train: ${origin}, but the run needs at least ${megabytes(peakBytes, Math.ceil)} with ${describeMeasures(least.measures)} (in ${op} of stage "${stage}")`;
  const ways = [budget.origin === 'given' ? `--memory ${megabytes(peakBytes, Math.ceil).replace(' ', '')}` : 'free memory'];
  for (let fewer = Math.floor(batch / 2); fewer >= 1; fewer = Math.floor(fewer / 2)) {
    const smaller = await count(least.measures, fewer);
    if (smaller.peakBytes > budget.bytes && fewer > 1) continue;
    const fits = smaller.peakBytes <= budget.bytes;
    ways.push(`--batch ${fewer} --virtual-batch ${volumes}, the same gradients in ${megabytes(smaller.peakBytes, Math.ceil)}${fits ? '' : ' (still too much)'}`);
    break;
  }
  ways.push('a smaller --preset');
  return new Error(`${needed}; take ${ways.slice(0, -1).join(', or ')}, or ${ways.at(-1)}`);
}

export function describeMeasures({ checkpointBlocks, stemSlabs, textParts, fusedAttention, precision }: Readonly<Savings>): string {
  const taken = [
    ...(checkpointBlocks ? ['gradient checkpointing of blocks'] : []),
    ...(stemSlabs > 1 ? [`the stem in ${stemSlabs} slabs`] : []),
    ...(textParts > 1 ? [`texts in ${textParts} parts`] : []),
    ...(fusedAttention ? ['attention without scores'] : []),
    ...(precision === 'f16' ? ['activations in f16'] : []),
  ];
  return taken.length ? taken.join(', ') : 'no measures';
}

/** The plan in lines for people. */
export function describePlan({ measures, count, budget }: MemoryPlan): string[] {
  const { peakBytes, weightBytes, optimizerBytes, gradientBytes, activationBytes, stage, op } = count;
  const origin = {
    given: `of ${megabytes(budget.bytes)} (--memory)`,
    available: `of ${megabytes(budget.bytes)}, 70 % of what is free (--memory sets another limit)`,
    assumed: `of ${megabytes(budget.bytes)}, assumed: WebGPU does not tell what the GPU has (--memory says it)`,
  }[budget.origin];
  return [
    `memory: ${megabytes(peakBytes)} ${origin}, with ${describeMeasures(measures)}`,
    `  at most, in ${op} of stage ${stage}: weights ${megabytes(weightBytes)}, optimiser ${megabytes(optimizerBytes)}, gradients ${megabytes(gradientBytes)}, input, activations and work space ${megabytes(activationBytes)}`,
    ...(peakBytes > budget.bytes ? ['  that is more than assumed, and may be more than the GPU has; a smaller --batch with --virtual-batch takes less'] : []),
  ];
}

/** Of 10⁶ bytes, as flags take them. */
function megabytes(bytes: number, round: (value: number) => number = Math.round): string {
  return `${round(bytes / 1e6)} MB`;
}
