import { ops, type Tensor } from '../../autograd/index.ts';
import { Module, type Initializer } from '../module.ts';
import { LayerNorm } from './layer-norm.ts';
import { Linear } from './linear.ts';

/** [B, T, C] → [B, H, T, C/H]. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, tokens, channels] = x.shape as [number, number, number];
  return ops.permute(ops.reshape(x, [batch, tokens, heads, channels / heads]), [0, 2, 1, 3]);
}

/** [B, H, T, D] → [B, T, H·D]. */
export function mergeHeads(x: Tensor): Tensor {
  const [batch, heads, tokens, length] = x.shape as [number, number, number, number];
  return ops.reshape(ops.permute(x, [0, 2, 1, 3]), [batch, tokens, heads * length]);
}

/** Options of attention that never holds scores, or none; `registers` where a tile does not fit. */
export function attentionPlan(fused: boolean): { plan?: 'tile' } {
  return fused ? { plan: 'tile' } : {};
}

/** Pre-norm transformer block (MODEL §5): x += out(attention(LN(x))); x += MLP(LN(x)), GELU, softmax scaled by 1/√d_h. */
export class TransformerBlock extends Module {
  readonly norm1: LayerNorm;
  readonly qkv: Linear;
  readonly out: Linear;
  readonly norm2: LayerNorm;
  readonly mlp1: Linear;
  readonly mlp2: Linear;
  private readonly heads: number;

  constructor(init: Initializer, width: number, heads: number, mlpRatio: number) {
    super();
    this.norm1 = new LayerNorm(init, width);
    this.qkv = new Linear(init, width, 3 * width);
    this.out = new Linear(init, width, width);
    this.norm2 = new LayerNorm(init, width);
    this.mlp1 = new Linear(init, width, mlpRatio * width);
    this.mlp2 = new Linear(init, mlpRatio * width, width);
    this.heads = heads;
  }

  /** x [B, T, C] → [B, T, C]. */
  forward(x: Tensor, { fusedAttention = false }: { fusedAttention?: boolean } = {}): Tensor {
    return x.engine.scope(() => {
      const attended = ops.add(x, this.attention(this.norm1.forward(x), fusedAttention));
      return ops.add(attended, this.mlp2.forward(ops.gelu(this.mlp1.forward(this.norm2.forward(attended)))));
    });
  }

  private attention(x: Tensor, fused: boolean): Tensor {
    const [batch, tokens, channels] = x.shape as [number, number, number];
    const { heads } = this;
    const packed = ops.permute(ops.reshape(this.qkv.forward(x), [batch, tokens, 3, heads, channels / heads]), [2, 0, 3, 1, 4]);
    const part = (index: number): Tensor =>
      ops.reshape(ops.slice(packed, { dim: 0, start: index, end: index + 1 }), [batch, heads, tokens, channels / heads]);
    return this.out.forward(mergeHeads(ops.scaledDotProductAttention(part(0), part(1), part(2), attentionPlan(fused))));
  }
}
