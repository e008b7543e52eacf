export { checkpoint } from './checkpoint.ts';
export { Engine, type TensorOptions } from './engine.ts';
export { isGradEnabled, noGrad } from './grad-mode.ts';
export * as ops from './ops/index.ts';
export { erfcReference } from './ops/gelu.ts';
export { PlanTable, type PlanChoices, type PlanDecision } from './plan-table.ts';
export { Tensor } from './tensor.ts';
export type { TunedPlan, TuneOptions, TuningReport } from './tune.ts';
export { tuningIdentity, type TuningIdentity } from './tuning-record.ts';
