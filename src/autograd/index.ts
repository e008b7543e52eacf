export { checkpoint } from './checkpoint.ts';
export { Engine, type TensorOptions } from './engine.ts';
export { isGradEnabled, noGrad } from './grad-mode.ts';
export * as ops from './ops/index.ts';
export { Tensor } from './tensor.ts';
