import { ops, type Tensor } from '../autograd/index.ts';
import type { Taps } from './fast.ts';

export type TokenGrid = readonly [number, number, number];

/**
 * The finest grid that both grids can be averaged to in whole windows, axis by axis: the coarser one where it divides the finer
 * (MODEL §4), their greatest common divisor elsewhere [O].
 * @throws Error where an axis would be left with one position although both have more
 */
export function commonGrid(a: TokenGrid, b: TokenGrid): [number, number, number] {
  const common = a.map((size, axis) => greatestCommonDivisor(size, b[axis]!)) as [number, number, number];
  if (common.some((size, axis) => size === 1 && a[axis]! > 1 && b[axis]! > 1)) {
    throw new Error(`commonGrid: the token grids [${a.join(', ')}] and [${b.join(', ')}] have no common windows; choose a preset whose grid divides the teacher's`);
  }
  return common;
}

/** Taps averaged over windows of tokens, from one grid [t, h, w] to another that divides it. Tokens are in row-major order. */
export function poolTaps(taps: Taps, from: TokenGrid, to: TokenGrid): Taps {
  if (from.every((size, axis) => size === to[axis])) return taps;
  return taps.map(({ residual, features }) => ({ residual: poolTokens(residual, from, to), features: poolTokens(features, from, to) }));
}

/** x [B, N, C] → [B, N', C] in f32. */
function poolTokens(x: Tensor, from: TokenGrid, to: TokenGrid): Tensor {
  const kernel = from.map((size, axis) => size / to[axis]!) as [number, number, number];
  if (!kernel.every(Number.isInteger)) throw new Error(`poolTaps: the grid [${to.join(', ')}] must divide [${from.join(', ')}]`);
  const [batch, tokens, channels] = x.shape as [number, number, number];
  if (tokens !== from[0] * from[1] * from[2]) throw new Error(`poolTaps: ${tokens} tokens are no grid [${from.join(', ')}]`);
  return x.engine.scope(() => {
    const volume = ops.reshape(ops.permute(ops.cast(x, 'f32'), [0, 2, 1]), [batch, channels, ...from]);
    return ops.permute(ops.reshape(ops.avgPool3d(volume, { kernel }), [batch, channels, to[0] * to[1] * to[2]]), [0, 2, 1]);
  });
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
