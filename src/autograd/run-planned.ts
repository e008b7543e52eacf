/** Kernels that do the same in different ways, one of which is taken. */
import type { Kernel, Params } from '../engine/index.ts';
import { runKernel } from './op.ts';
import type { PlanTrial } from './plan-table.ts';
import type { Tensor } from './tensor.ts';

export interface PlannedKernels<Plan extends string> {
  /** The op and its pass. */
  op: string;
  /** A kernel for each plan, with the same bindings and params. */
  kernels: Readonly<Record<Plan, Kernel>>;
  /** The plans that can run, the fixed one first. */
  plans: readonly [Plan, ...Plan[]];
  /** Asked for by the caller: nothing is chosen then. */
  wanted?: Plan | undefined;
  /** The params that the time depends on. */
  extents: readonly string[];
  /** Outputs that the kernel reads too, so that trials must give them values. */
  inPlace?: readonly string[];
}

/** `runKernel` with the kernel of the plan that the engine has chosen. */
export function runPlanned<Plan extends string>({ op, kernels, plans, wanted, extents, inPlace = [] }: PlannedKernels<Plan>, tensors: Record<string, Tensor>, params: Params, constants?: Record<string, number>): void {
  const { engine } = Object.values(tensors)[0]!;
  const [fixed] = plans;
  // Plans are measured with f32; in f16 the fixed one is taken.
  const isHalf = Object.values(tensors).some(({ dtype }) => dtype === 'f16');
  const plan = wanted ?? (isHalf ? fixed : engine.plans.choose(fixed, () => {
    const sizes = Object.fromEntries(extents.map((name) => [name, params[name] as number]));
    return { op, extents: sizes, plans, trial: kernelTrial(kernels, inPlace, tensors, params, constants) };
  }));
  runKernel(kernels[plan], tensors, params, constants);
}

function kernelTrial<Plan extends string>(kernels: Readonly<Record<Plan, Kernel>>, inPlace: readonly string[], tensors: Record<string, Tensor>, params: Params, constants?: Record<string, number>): PlanTrial<Plan> {
  // Shapes alone: a decision must not hold an activation's memory.
  const shapes = Object.entries(tensors).map(([name, { shape }]) => [name, shape] as const);
  const [{ inputs }] = Object.values(kernels) as [Kernel];
  return (operand) => {
    const given = Object.fromEntries(shapes.filter(([name]) => inputs.includes(name) || inPlace.includes(name)).map(([name, shape]) => [name, operand(shape)]));
    const operands = Object.fromEntries(Object.entries(given).filter(([name]) => inputs.includes(name)));
    return (plan) => {
      const { engine } = Object.values(given)[0]!;
      const results = Object.fromEntries(shapes.filter(([name]) => !inputs.includes(name)).map(([name, shape]) => [name, given[name] ? engine.copyOf(given[name]) : engine.empty(shape)]));
      runKernel(kernels[plan], { ...operands, ...results }, params, constants);
      return Object.values(results);
    };
  };
}
