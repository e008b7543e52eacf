import { ops } from '../src/autograd/index.ts';
import { clipScaleReference, gradientNormReference } from '../src/autograd/ops/gradient-norm.ts';
import { relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';

const limit = 1;

/** The norm of all gradients and the factor that clips them: parameters in so many tensors. */
const towers: [name: string, size: number, tensors: number][] = [
  ['tiny encoder', 101_300, 40],
  ['small encoder', 5_842_536, 90],
  ['base encoder', 15_913_318, 120],
];

export const benches: BenchCase[] = towers.map(([name, size, tensors]) => {
  const each = Math.floor(size / tensors);
  const extents = Array.from({ length: tensors }, (_, at) => (at === 0 ? size - each * (tensors - 1) : each));
  return opCase({
    family: 'gradient-norm',
    name: `${name} ${size} in ${tensors}`,
    inputs: Object.fromEntries(extents.map((extent, at) => [`${at}`, { shape: [extent], constant: true }])),
    run: (gradients) => ops.clipScale(ops.gradientNorm(Object.values(gradients)), limit),
    forward: { flop: 2 * size, bytes: 4 * size },
    check: ({ values, y }) => ({ forward: relativeError(y, [clipScaleReference(gradientNormReference(Object.values(values)), limit)]) }),
  });
});
