/** Which invocations take a row in kernels over rows: one alone, or a whole workgroup. */
import type { Kernel, KernelSpec, Params } from '../../engine/index.ts';
import { runPlanned } from '../run-planned.ts';
import type { Tensor } from '../tensor.ts';

/** `row`: an invocation a row, without barriers, which adapters on the CPU want. `workgroup`: a workgroup a row, as GPUs do. */
export type RowPlan = 'row' | 'workgroup';

/** What a kernel of an invocation a row has otherwise than its twin of a workgroup a row. */
export const byRow = {
  constants: { WORKGROUP_SIZE: 32 },
  workgroups: ({ rows }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!),
} satisfies Partial<KernelSpec>;

/** Runs the kernel of the plan asked for (tests), or of the engine's choice. `extents`: the params that are its sizes. */
export function runRows(op: string, kernels: Readonly<Record<RowPlan, Kernel>>, extents: readonly string[], tensors: Record<string, Tensor>, params: Params, { plan, constants, inPlace }: { plan?: RowPlan | undefined; constants?: Record<string, number>; inPlace?: readonly string[] } = {}): void {
  const { isSoftware } = Object.values(tensors)[0]!.engine.device;
  runPlanned({ op, kernels, plans: isSoftware ? ['row', 'workgroup'] : ['workgroup', 'row'], wanted: plan, extents, ...(inPlace && { inPlace }) }, tensors, params, constants);
}
