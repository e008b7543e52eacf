import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Seeded values uniform in [-scale, scale] + shift, exact in f32, as Float64Array. */
export function randomArray(size: number, seed: number, { scale = 1, shift = 0 } = {}): Float64Array {
  const generator = xoroshiro128plus(seed * 7919 + 17);
  return Float64Array.from({ length: size }, () => Math.fround((generator.next() / 2 ** 31) * scale + shift));
}

export function product(shape: readonly number[]): number {
  return shape.reduce((size, extent) => size * extent, 1);
}

/**
 * Largest difference relative to the largest expected magnitude: the norm-wise relative error. An element near zero in a sum of
 * large terms has no meaningful relative error of its own.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return compare(actual, expected).error;
}

/** Throws with index, got and expected unless the norm-wise relative error is at most `tolerance`. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what = 'values'): void {
  if (actual.length !== expected.length) throw new Error(`${what}: ${actual.length} values, expected ${expected.length}`);
  const { error, index } = compare(actual, expected);
  if (!(error <= tolerance)) {
    throw new Error(`${what}: relative error ${error.toExponential(2)} above ${tolerance} at index ${index}: got ${actual[index]}, expected ${expected[index]}`);
  }
}

function compare(actual: ArrayLike<number>, expected: ArrayLike<number>): { error: number; index: number } {
  let largest = 0;
  let worst = 0;
  let index = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) {
      worst = difference;
      index = i;
      if (Number.isNaN(difference)) return { error: Infinity, index };
    }
  }
  return { error: worst / Math.max(largest, Number.MIN_VALUE), index };
}
