/** Which invocations take a row in kernels over rows: one alone, or a whole workgroup. */
import type { KernelSpec } from '../../engine/index.ts';
import type { Engine } from '../engine.ts';

/** `row`: an invocation a row, without barriers, which adapters on the CPU want. `workgroup`: a workgroup a row, as GPUs do. */
export type RowPlan = 'row' | 'workgroup';

/** What a kernel of an invocation a row has otherwise than its twin of a workgroup a row. */
export const byRow = {
  constants: { WORKGROUP_SIZE: 32 },
  workgroups: ({ rows }, { WORKGROUP_SIZE }) => Math.ceil(rows! / WORKGROUP_SIZE!),
} satisfies Partial<KernelSpec>;

/** The plan asked for (tests), or that of the engine's adapter. */
export function rowPlan({ device }: Engine, plan?: RowPlan): RowPlan {
  return plan ?? (device.isSoftware ? 'row' : 'workgroup');
}
