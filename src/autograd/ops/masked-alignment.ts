import { checkDType, checkTensor, defineOp } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { rowSum, tokenAffine, tokenSum } from './token-sums.ts';

/**
 * Dual-masked alignment (MODEL §4.4): Σ_nc p_n q_c (x − target)² of each batch element. `x`, `target` [B, N, C], `p` [B, N] and
 * `q` [B, C] softmaxes over tokens and channels: with P = N·p and Q = C·q this is (1/NC) Σ P Q (x − target)². Gives [B].
 * Target and masks are constants. Saves all four. Gradient: dx = 2 p q (x − target) dY.
 */
export const maskedAlignment = defineOp('maskedAlignment', (x: Tensor, target: Tensor, p: Tensor, q: Tensor): Tensor => {
  checkTensor(x, 'maskedAlignment', 'x', [null, null, null]);
  const [batches, tokens, channels] = x.shape as [number, number, number];
  checkTensor(target, 'maskedAlignment', 'target', x.shape);
  checkTensor(p, 'maskedAlignment', 'p', [batches, tokens]);
  checkTensor(q, 'maskedAlignment', 'q', [batches, channels]);
  for (const [name, tensor] of Object.entries({ x, target, p, q })) checkDType(tensor, 'maskedAlignment', name);
  const distance = rowSum(tokenSum(x, 'maskedDifference', { z: target, a: q, w: p }));
  return record(distance, 'maskedAlignment', [x], { x, target, p, q }, (dY, saved) => [
    tokenAffine(saved.x, 'maskedAlignment', 2, { z: saved.target, a: saved.q, w: saved.p, v: dY }),
  ]);
});
