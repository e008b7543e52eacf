import { ops, type Tensor } from '../../autograd/index.ts';
import { Module, type Initializer } from '../module.ts';

/** y = x·weightᵀ + bias; weight [out, in]. Initialised N(0, 1/in), bias 0. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;

  constructor(init: Initializer, inFeatures: number, outFeatures: number, deviation = Math.sqrt(1 / inFeatures)) {
    super();
    this.weight = init.normal([outFeatures, inFeatures], deviation);
    this.bias = init.constant([outFeatures], 0);
  }

  /** x [..., in] → [..., out]. */
  forward(x: Tensor): Tensor {
    return ops.linear(x, this.weight, this.bias);
  }
}
