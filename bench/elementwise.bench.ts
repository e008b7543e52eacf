/** Memory-bound ops at the shapes of their busiest places: a byte in and a byte out, little arithmetic. */
import { ops } from '../src/autograd/index.ts';
import { geluDerivativeReference, geluReference } from '../src/autograd/ops/gelu.ts';
import { gegluBackwardReference, gegluReference } from '../src/autograd/ops/geglu.ts';
import { leakyReluDerivativeReference, leakyReluReference } from '../src/autograd/ops/leaky-relu.ts';
import { normalizeBackwardReference, normalizeReference } from '../src/autograd/ops/normalize.ts';
import { inverseOrder, permuteReference } from '../src/autograd/ops/permute.ts';
import { sumBackwardReference, sumReference } from '../src/autograd/ops/reduce.ts';
import { softmaxBackwardReference, softmaxReference } from '../src/autograd/ops/softmax.ts';
import { product } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { wholeCheck } from './checks.ts';
import { traffic } from './traffic.ts';

function gelu(name: string, shape: number[]): BenchCase {
  const size = product(shape);
  return opCase({
    family: 'gelu',
    name: `${name} ${shape.join('×')}`,
    inputs: { x: { shape, scale: 3 } },
    run: ({ x }) => ops.gelu(x!),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(({ x }) => x!.map(geluReference), ({ x }, dY) => ({ x: x!.map((value, i) => dY[i]! * geluDerivativeReference(value)) })),
  });
}

function leakyRelu(name: string, shape: number[]): BenchCase {
  const size = product(shape);
  const slope = 0.01;
  return opCase({
    family: 'leaky-relu',
    name: `${name} ${shape.join('×')}`,
    inputs: { x: { shape } },
    run: ({ x }) => ops.leakyRelu(x!, { slope }),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(({ x }) => x!.map((value) => leakyReluReference(value, slope)), ({ x }, dY) => ({ x: x!.map((value, i) => dY[i]! * leakyReluDerivativeReference(value, slope)) })),
  });
}

function geglu(name: string, rows: number, half: number): BenchCase {
  return opCase({
    family: 'geglu',
    name: `${name} ${rows}×${2 * half}`,
    inputs: { x: { shape: [rows, 2 * half], scale: 3 } },
    run: ({ x }) => ops.geglu(x!),
    ...traffic(3 * rows * half, 5 * rows * half),
    check: wholeCheck(({ x }) => gegluReference(x!, half), ({ x }, dY) => ({ x: gegluBackwardReference(x!, half, dY) })),
  });
}

function softmax(name: string, rows: number, columns: number): BenchCase {
  const size = rows * columns;
  return opCase({
    family: 'softmax',
    name: `${name} ${rows}×${columns}`,
    inputs: { x: { shape: [rows, columns], scale: 3 } },
    run: ({ x }) => ops.softmax(x!),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(({ x }) => softmaxReference(x!, [rows, columns]), ({ x }, dY) => ({ x: softmaxBackwardReference(x!, dY, [rows, columns]) })),
  });
}

function residual(name: string, shape: number[]): BenchCase {
  const size = product(shape);
  return opCase({
    family: 'add',
    name: `${name} ${shape.join('×')}`,
    inputs: { x: { shape }, y: { shape } },
    run: ({ x, y }) => ops.add(x!, y!),
    // Both gradients are dY itself.
    ...traffic(3 * size, 0),
    check: wholeCheck(({ x, y }) => x!.map((value, i) => value + y![i]!), (_, dY) => ({ x: dY, y: dY })),
  });
}

function permute(name: string, shape: number[], axes: number[]): BenchCase {
  const size = product(shape);
  const turned = axes.map((axis) => shape[axis]!);
  return opCase({
    family: 'permute',
    name: `${name} ${shape.join('×')} by ${axes.join('')}`,
    inputs: { x: { shape } },
    run: ({ x }) => ops.permute(x!, axes),
    ...traffic(2 * size, 2 * size),
    check: wholeCheck(({ x }) => permuteReference(x!, shape, axes), (_, dY) => ({ x: permuteReference(dY, turned, inverseOrder(axes)) })),
  });
}

function sum(name: string, shape: number[], axis: number): BenchCase {
  const size = product(shape);
  return opCase({
    family: 'reduce',
    name: `${name} ${shape.join('×')} over ${axis}`,
    inputs: { x: { shape, shift: 1 } },
    run: ({ x }) => ops.sum(x!, { dim: axis }),
    ...traffic(size + size / shape[axis]!, size + size / shape[axis]!),
    check: wholeCheck(({ x }) => sumReference(x!, shape, [axis]), (_, dY) => ({ x: sumBackwardReference(shape, [axis], dY) })),
  });
}

function normalize(name: string, rows: number, columns: number): BenchCase {
  const size = rows * columns;
  return opCase({
    family: 'normalize',
    name: `${name} ${rows}×${columns}`,
    inputs: { x: { shape: [rows, columns] } },
    run: ({ x }) => ops.normalize(x!),
    ...traffic(2 * size, 3 * size),
    check: wholeCheck(({ x }) => normalizeReference(x!, columns), ({ x }, dY) => ({ x: normalizeBackwardReference(x!, columns, dY) })),
  });
}

export const benches: BenchCase[] = [
  gelu('tiny mlp', [2048, 128]),
  gelu('small mlp', [1728, 1024]),
  gelu('small stem 1', [60, 60, 60, 32]),
  gelu('base mlp', [13824, 1536]),
  leakyRelu('teacher position bias', [2209, 512]),
  geglu('teacher feed-forward', 1728, 1365),
  softmax('small pooling', 8, 1728),
  softmax('scores', 4608, 576),
  softmax('base pooling', 6, 13824),
  residual('small tokens', [1728, 256]),
  residual('base tokens', [13824, 384]),
  permute('small stem 1 to channels last', [1, 32, 60, 60, 60], [0, 2, 3, 4, 1]),
  permute('small qkv to heads', [12, 144, 3, 8, 32], [2, 0, 3, 1, 4]),
  permute('base qkv to heads', [24, 576, 3, 6, 64], [2, 0, 3, 1, 4]),
  sum('small bias gradient', [1728, 1024], 0),
  sum('small rows', [1728, 256], 1),
  normalize('embeddings', 64, 512),
  normalize('teacher heads', 110592, 32),
];
