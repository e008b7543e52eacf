import { checkDType, checkTensor, defineOp } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { channelSum, tokenAffine, tokenSum } from './token-sums.ts';

/**
 * Energy of each token (MODEL §4.1, after Zagoruyko & Komodakis 2017): e_n = mean_c u_nc², u = x − mean_n x.
 *
 * `x` [B, N, C]; gives [B, N]. Saves x and its means. Gradient: du = (2/C) u ⊙ de, dx = du − mean_n du.
 */
export const tokenEnergy = defineOp('tokenEnergy', (x: Tensor): Tensor => {
  const { tokens, channels } = checkTokens('tokenEnergy', x);
  const mean = channelSum(x, 'value', { scale: 1 / tokens });
  const e = tokenSum(x, 'squaredDeviation', { scale: 1 / channels, a: mean });
  return record(e, 'tokenEnergy', [x], { x, mean }, (dY, saved) => {
    const offset = channelSum(saved.x, 'weightedDeviation', { scale: 2 / (channels * tokens), mean: saved.mean, w: dY });
    return [tokenAffine(saved.x, 'tokenEnergy', 2 / channels, { a: saved.mean, w: dY, offset })];
  });
});

/** Energy of each channel (MODEL §4.2): e_c = mean_n x_nc². `x` [B, N, C]; gives [B, C]. Saves x. Gradient: x. */
export const channelEnergy = defineOp('channelEnergy', (x: Tensor): Tensor => {
  const { tokens } = checkTokens('channelEnergy', x);
  const e = channelSum(x, 'square', { scale: 1 / tokens });
  return record(e, 'channelEnergy', [x], { x }, (dY, saved) => [tokenAffine(saved.x, 'channelEnergy', 2 / tokens, { a: dY })]);
});

/** mean_c |x|: [B, N]. For targets: no gradient. */
export const tokenMagnitude = defineOp('tokenMagnitude', (x: Tensor): Tensor => {
  const { channels } = checkTokens('tokenMagnitude', x);
  return tokenSum(x, 'magnitude', { scale: 1 / channels });
});

/** mean_n |x|: [B, C]. For targets: no gradient. */
export const channelMagnitude = defineOp('channelMagnitude', (x: Tensor): Tensor => {
  const { tokens } = checkTokens('channelMagnitude', x);
  return channelSum(x, 'magnitude', { scale: 1 / tokens });
});

function checkTokens(op: string, x: Tensor): { tokens: number; channels: number } {
  checkTensor(x, op, 'x', [null, null, null]);
  checkDType(x, op, 'x');
  return { tokens: x.shape[1]!, channels: x.shape[2]! };
}
