/** Ops that only move values, or widen and round them. */
import { ops } from '../src/autograd/index.ts';
import { concatReference } from '../src/autograd/ops/concat.ts';
import { sliceBackwardReference, sliceReference } from '../src/autograd/ops/slice.ts';
import { widenReference } from '../src/autograd/ops/widen.ts';
import { product, relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { wholeCheck } from './checks.ts';
import { traffic } from './traffic.ts';

function concat(name: string, part: number[], parts: number, axis: number): BenchCase {
  const size = parts * product(part);
  const names = Array.from({ length: parts }, (_, at) => `x${at}`);
  const whole = part.map((extent, at) => (at === axis ? parts * extent : extent));
  return opCase({
    family: 'concat',
    name: `${name} ${parts} of ${part.join('×')} along ${axis}`,
    inputs: Object.fromEntries(names.map((each) => [each, { shape: part }])),
    run: (tensors) => ops.concat(names.map((each) => tensors[each]!), { dim: axis }),
    ...traffic(2 * size, 2 * size),
    check: wholeCheck(
      (values) => concatReference(names.map((each) => values[each]!), names.map(() => part), axis),
      (_, dY) => Object.fromEntries(names.map((each, at) => [each, sliceReference(dY, whole, axis, at * part[axis]!, (at + 1) * part[axis]!)])),
    ),
  });
}

function slice(name: string, shape: number[], axis: number, start: number, end: number): BenchCase {
  const size = (product(shape) / shape[axis]!) * (end - start);
  return opCase({
    family: 'slice',
    name: `${name} ${shape.join('×')}, ${start}–${end} of ${axis}`,
    inputs: { x: { shape } },
    run: ({ x }) => ops.slice(x!, { dim: axis, start, end }),
    // The gradient of what was left out is written too: zeros.
    ...traffic(2 * size, size + product(shape)),
    check: wholeCheck(({ x }) => sliceReference(x!, shape, axis, start, end), (_, dY) => ({ x: sliceBackwardReference(shape, axis, start, end, dY) })),
  });
}

/** A volume of 8-bit JPEG values to those that the stem reads. */
function widen(name: string, shape: number[]): BenchCase {
  return opCase({
    family: 'widen',
    name: `${name} ${shape.join('×')}`,
    inputs: { x: { shape, element: 'u8', constant: true }, table: { shape: [256], constant: true } },
    run: ({ x, table }) => ops.widen(x!, table!),
    forward: { flop: 0, bytes: 5 * product(shape) },
    check: ({ values: { x, table }, y }) => ({ forward: relativeError(y, widenReference(x!, table!)) }),
  });
}

function cast(name: string, shape: number[]): BenchCase {
  const bytes = 6 * product(shape);
  return opCase({
    family: 'cast',
    name: `${name} ${shape.join('×')} to f16`,
    inputs: { x: { shape, shift: 0.125 } },
    run: ({ x }) => ops.cast(x!, 'f16'),
    forward: { flop: 0, bytes },
    backward: { flop: 0, bytes },
    check: wholeCheck(({ x }) => x!, (_, dY) => ({ x: dY })),
    needsF16: true,
    // Rounded to 10 bits; the gradient is widened, which is exact.
    tolerances: { forward: 2 ** -11, backward: 1e-7 },
  });
}

export const benches: BenchCase[] = [
  concat('small stem slabs', [1, 432, 256], 4, 1),
  concat('base stem slabs', [1, 3456, 384], 4, 1),
  slice('small q of qkv', [3, 12, 8, 144, 32], 0, 0, 1),
  slice('base q of qkv', [3, 24, 6, 576, 64], 0, 0, 1),
  slice('class tokens', [4, 256, 768], 1, 0, 1),
  slice('small volume, one slab', [1, 1, 120, 240, 240], 2, 30, 60),
  widen('tiny volumes', [8, 16, 64, 64]),
  widen('small volume', [1, 120, 240, 240]),
  widen('base volume', [1, 240, 480, 480]),
  cast('small tokens', [1728, 256]),
  cast('base tokens', [13824, 384]),
];
