export type { FloatType } from '../engine/index.ts';
export { checkpoint } from './checkpoint.ts';
export { Engine, type TensorOptions } from './engine.ts';
export { isGradEnabled, noGrad } from './grad-mode.ts';
export * as ops from './ops/index.ts';
export { erfcReference } from './ops/gelu.ts';
export { Tensor } from './tensor.ts';
