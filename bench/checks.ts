/** Errors of a result against float64, all of it or at samples. */
import { relativeError } from '../test/support/arrays.ts';
import type { OpResults } from './bench-case.ts';

/** Compares everything with a reference. `backward` may leave operands out. */
export function wholeCheck(
  reference: (values: OpResults['values']) => Float64Array,
  backward: (values: OpResults['values'], dY: Float64Array) => Record<string, Float64Array>,
): (results: OpResults) => { forward: number; backward: number } {
  return ({ values, dY, y, gradients }) => ({
    forward: relativeError(y, reference(values)),
    backward: Math.max(...Object.entries(backward(values, dY)).map(([name, expected]) => relativeError(gradients[name]!, expected))),
  });
}

const samples = 96;

/** Error of a few elements, relative to the largest expected among them; they lie far apart and include the first and the last. */
export function sampledError(actual: Float32Array, expected: (index: number) => number): number {
  const count = Math.min(samples, actual.length);
  const indices = Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.floor((i * (actual.length - 1)) / (count - 1))));
  return relativeError(indices.map((index) => actual[index]!), indices.map(expected));
}

/** y [M, N] = a [M, K] b [K, N] at samples; strides let either operand be turned. */
export function sampledProductError(
  y: Float32Array,
  { n, k }: { n: number; k: number },
  a: (row: number, at: number) => number,
  b: (at: number, column: number) => number,
): number {
  return sampledError(y, (index) => {
    const [row, column] = [Math.floor(index / n), index % n];
    let sum = 0;
    for (let at = 0; at < k; at++) sum += a(row, at) * b(at, column);
    return sum;
  });
}
