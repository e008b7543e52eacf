import { checkpoint, type Tensor } from '../autograd/index.ts';
import type { Module } from './module.ts';

/**
 * `forward(...inputs)` of modules under gradient checkpointing: `inputs` alone are kept for the backward pass, which runs `forward` once
 * more. Where neither an input nor a parameter of the modules takes a gradient, there is nothing to save and `forward` runs once.
 */
export function checkpointed(modules: readonly Module[], forward: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  const isTrained = inputs.some(({ requiresGrad }) => requiresGrad) || modules.some((module) => [...module.namedParameters().values()].some(({ requiresGrad }) => requiresGrad));
  return isTrained ? checkpoint(forward, ...inputs) : forward(...inputs);
}
