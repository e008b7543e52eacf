import { ops } from '../src/autograd/index.ts';
import { inF16, opCase, type BenchCase, type OpBench } from './bench-case.ts';
import { sampledProductError } from './checks.ts';

/** Square products, a long sum (a weight gradient) and the 36 prompts against a batch. */
type Shape = [name: string, m: number, n: number, k: number];

const shapes: Shape[] = [
  ['square', 512, 512, 512],
  ['square', 1024, 1024, 1024],
  ['long sum', 256, 768, 13824],
  ['teacher patch embedding', 13824, 512, 4000],
];

function benchOf([name, m, n, k]: Shape): OpBench {
  const product = 2 * m * n * k;
  const bytes = 4 * (m * k + k * n + m * n);
  return {
    family: 'matmul',
    name: `${name} ${m}×${n}×${k}`,
    inputs: { a: { shape: [m, k] }, b: { shape: [k, n] } },
    run: ({ a, b }) => ops.matmul(a!, b!),
    forward: { flop: product, bytes },
    backward: { flop: 2 * product, bytes: 2 * bytes },
    check: ({ values: { a, b }, dY, y, gradients }) => ({
      forward: sampledProductError(y, { n, k }, (row, at) => a![row * k + at]!, (at, column) => b![at * n + column]!),
      backward: Math.max(
        sampledProductError(gradients.a!, { n: k, k: n }, (row, at) => dY[row * n + at]!, (at, column) => b![column * n + at]!),
        sampledProductError(gradients.b!, { n, k: m }, (row, at) => a![at * k + row]!, (at, column) => dY[at * n + column]!),
      ),
    }),
  };
}

export const benches: BenchCase[] = [...shapes.map(benchOf), ...shapes.slice(0, 2).map((shape) => inF16(benchOf(shape)))].map(opCase);
