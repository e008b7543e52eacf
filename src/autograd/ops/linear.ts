import { check, formatShape } from '../../engine/index.ts';
import { isGradEnabled } from '../grad-mode.ts';
import { checkDType, checkTensor, defineOp } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { columnSum } from './column-sum.ts';
import { gelu } from './gelu.ts';
import { leakyRelu } from './leaky-relu.ts';
import { defaultSlope, gemm, matmulBackwardReference, matmulReference, type GemmActivation, type GemmPlan } from './matmul.ts';

export interface LinearOptions {
  /** Applied to the result: exact-erf GELU or leaky ReLU. Default: none. */
  activation?: GemmActivation;
  /** Slope of leakyRelu below zero. */
  slope?: number;
  /** Overrides the adapter's plan for the product (for tests and benches). */
  plan?: GemmPlan;
}

/**
 * Affine map of the last axis, in PyTorch's layout: y = activation(x·weightᵀ + bias).
 *
 * `x` [..., In] in f32 or f16, `weight` [Out, In], `bias` [Out] in f32 or null; result [..., Out] in the type of `x`. Saves x and weight where the other's gradient is
 * needed, and before an activation its argument; without a tape `gemm` applies the activation.
 * Gradients: x, weight, bias. Throws where shapes do not fit.
 */
export const linear = defineOp('linear', (x: Tensor, weight: Tensor, bias: Tensor | null = null, options: LinearOptions = {}): Tensor => {
  const { activation = 'none', slope = defaultSlope, plan } = options;
  checkShapes(x, weight, bias);
  const isTaped = isGradEnabled() && [x, weight, bias].some((tensor) => tensor?.requiresGrad);
  if (!isTaped) return product(x, weight, bias, { activation, slope, plan });
  const y = affine(x, weight, bias, plan);
  if (activation === 'gelu') return gelu(y);
  return activation === 'leakyRelu' ? leakyRelu(y, { slope }) : y;
});

function affine(x: Tensor, weight: Tensor, bias: Tensor | null, plan?: GemmPlan): Tensor {
  const y = product(x, weight, bias, { plan });
  const saved = { x: weight.requiresGrad ? x : null, weight: x.requiresGrad ? weight : null };
  return record(y, 'linear', [x, weight, bias], saved, (dY, saved, [needsX, needsWeight, needsBias]) => {
    const dRows = asRows(dY);
    return [
      needsX ? gemm(dRows, saved.weight!, { plan }).alias(x.shape) : null,
      needsWeight ? gemm(dRows, asRows(saved.x!), { transposeA: true, dtype: 'f32', plan }) : null,
      needsBias ? columnSum(dRows, dRows.shape[0]!, dRows.shape[1]!) : null,
    ];
  });
}

function product(x: Tensor, weight: Tensor, bias: Tensor | null, options: LinearOptions): Tensor {
  return gemm(asRows(x), weight, { transposeB: true, bias, ...options }).alias([...x.shape.slice(0, -1), weight.shape[0]!]);
}

function asRows(x: Tensor): Tensor {
  const columns = x.shape.at(-1)!;
  return x.alias([x.size / columns, columns]);
}

function checkShapes(x: Tensor, weight: Tensor, bias: Tensor | null): void {
  check(x.rank >= 1, 'linear', () => `x takes at least one axis, got ${formatShape(x.shape)}`);
  checkTensor(weight, 'linear', 'weight', [null, x.shape.at(-1)!]);
  checkDType(weight, 'linear', 'weight');
  if (bias) checkTensor(bias, 'linear', 'bias', [weight.shape[0]!]);
}

/** Float64 reference of `linear` without activation; `x` is [rows, In] flat. Plain loops, for tests. */
export function linearReference(x: Float64Array, weight: Float64Array, bias: Float64Array | null, inFeatures: number): Float64Array {
  const outFeatures = weight.length / inFeatures;
  const y = matmulReference(x, weight, { m: x.length / inFeatures, n: outFeatures, k: inFeatures, transposeB: true });
  return bias ? y.map((value, i) => value + bias[i % outFeatures]!) : y;
}

/** Gradients of `linearReference` with respect to x, weight and bias. */
export function linearBackwardReference(
  x: Float64Array,
  weight: Float64Array,
  dY: Float64Array,
  inFeatures: number,
): { x: Float64Array; weight: Float64Array; bias: Float64Array } {
  const outFeatures = weight.length / inFeatures;
  const { a, b } = matmulBackwardReference(x, weight, dY, { m: x.length / inFeatures, n: outFeatures, k: inFeatures, transposeB: true });
  const bias = new Float64Array(outFeatures);
  dY.forEach((value, i) => {
    bias[i % outFeatures]! += value;
  });
  return { x: a, weight: b, bias };
}
