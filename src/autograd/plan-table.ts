/**
 * Which of its kernel plans an op takes for a shape: the fixed one of this kind of adapter, or what was measured to be faster there.
 *
 * An op asks `choose` each time it runs. Plans agree within rounding but not to the bit, so a choice holds from the moment it is
 * pinned: whoever pins the same choices at the same moment computes the same bits.
 */
import type { Shape } from '../engine/index.ts';
import type { Tensor } from './tensor.ts';

/** A choice between plans, as an op meets it. */
export interface PlanDecision<Plan extends string = string> {
  /** The op and its pass, for example `conv3d.weight-gradient`. */
  op: string;
  /** What besides sizes separates choices, for example which operand is transposed. */
  variant?: string;
  /** Sizes that the time depends on. Shapes whose sizes round up to the same powers of two share a choice. */
  extents: Readonly<Record<string, number>>;
  /** The plans that can run here, the fixed one first. */
  plans: readonly [Plan, ...Plan[]];
  /** Calls other ops that choose: it is tuned after them. */
  isComposite?: boolean;
  trial: PlanTrial<Plan>;
}

/**
 * Makes operands of the op's sizes, `operand` giving random ones of a shape, and returns what runs a plan on them. Its results, the
 * same tensors for every plan, belong to the caller's scope.
 */
export type PlanTrial<Plan extends string = string> = (operand: (shape: Shape) => Tensor) => (plan: Plan) => readonly Tensor[];

/** Plans by key. Plain data, so that it can be written down. */
export type PlanChoices = Readonly<Record<string, string>>;

export interface OpenDecision {
  key: string;
  decision: PlanDecision;
  /** How often ops met it. */
  seen: number;
}

export class PlanTable {
  private readonly chosen = new Map<string, string>();
  private readonly open = new Map<string, OpenDecision>();
  /** Whether decisions that nobody has made are remembered for the tuner. */
  isNoting = false;

  /** The plan to run: the pinned one, else `fixed`. `describe` is called only where tuning has begun. */
  choose<Plan extends string>(fixed: Plan, describe: () => PlanDecision<Plan>): Plan {
    if (!this.isNoting && this.chosen.size === 0) return fixed;
    const decision = describe();
    if (decision.plans.length < 2) return fixed;
    const key = decisionKey(decision);
    const pinned = this.chosen.get(key) as Plan | undefined;
    if (pinned !== undefined) return decision.plans.includes(pinned) ? pinned : fixed;
    if (this.isNoting) this.note(key, decision as unknown as PlanDecision);
    return fixed;
  }

  private note(key: string, decision: PlanDecision): void {
    const known = this.open.get(key);
    if (known) known.seen++;
    else this.open.set(key, { key, decision, seen: 1 });
  }

  /** Makes these choices from now on. A plan that cannot run where it is met is passed over for the fixed one. */
  pin(choices: PlanChoices): void {
    for (const [key, plan] of Object.entries(choices)) {
      this.chosen.set(key, plan);
      this.open.delete(key);
    }
  }

  /** Goes back to the fixed plans. */
  reset(): void {
    this.chosen.clear();
    this.open.clear();
  }

  /** All that is pinned, in the order of pinning. */
  get choices(): PlanChoices {
    return Object.fromEntries(this.chosen);
  }

  /** What ops met and nobody has decided; those that others are made of first. */
  get undecided(): OpenDecision[] {
    return [...this.open.values()].sort((a, b) => Number(a.decision.isComposite ?? false) - Number(b.decision.isComposite ?? false));
  }
}

/** For example `matmul NT batch≤1 m≤2048 n≤64 k≤64: subgroup rows tiled`. The plans are part of it: with another set, choose anew. */
export function decisionKey({ op, variant, extents, plans }: Pick<PlanDecision, 'op' | 'variant' | 'extents' | 'plans'>): string {
  const sizes = Object.entries(extents).map(([name, extent]) => `${name}≤${2 ** Math.ceil(Math.log2(Math.max(1, extent)))}`);
  return `${[op, ...(variant ? [variant] : []), ...sizes].join(' ')}: ${plans.join(' ')}`;
}
