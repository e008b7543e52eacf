import { ops, type Tensor } from '../../autograd/index.ts';
import { Module, type Initializer } from '../module.ts';

/** Layer normalisation over the last axis with learned weight and bias [C]. */
export class LayerNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  private readonly eps: number;

  constructor(init: Initializer, channels: number, eps = 1e-5) {
    super();
    this.weight = init.constant([channels], 1);
    this.bias = init.constant([channels], 0);
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return ops.layerNorm(x, this.weight, this.bias, { eps: this.eps });
  }
}
