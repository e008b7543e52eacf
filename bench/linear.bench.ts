import { ops } from '../src/autograd/index.ts';
import { inF16, opCase, type BenchCase, type OpBench } from './bench-case.ts';
import { sampledError, sampledProductError } from './checks.ts';

/** The projections of a transformer block: rows of tokens, In → Out with a bias. */
type Shape = [name: string, rows: number, inFeatures: number, outFeatures: number];

const shapes: Shape[] = [
  ['tiny qkv', 2048, 64, 192],
  ['tiny mlp', 2048, 64, 128],
  ['small qkv', 1728, 256, 768],
  ['small mlp up', 1728, 256, 1024],
  ['small mlp down', 1728, 1024, 256],
  ['base qkv', 13824, 384, 1152],
  ['base mlp up', 13824, 384, 1536],
  ['base mlp down', 13824, 1536, 384],
];

function benchOf([name, rows, inFeatures, outFeatures]: Shape): OpBench {
  const product = 2 * rows * inFeatures * outFeatures;
  const bytes = 4 * (rows * inFeatures + inFeatures * outFeatures + rows * outFeatures);
  return {
    family: 'linear',
    name: `${name} ${rows}×${inFeatures}→${outFeatures}`,
    inputs: { x: { shape: [rows, inFeatures] }, weight: { shape: [outFeatures, inFeatures] }, bias: { shape: [outFeatures] } },
    run: ({ x, weight, bias }) => ops.linear(x!, weight!, bias!),
    forward: { flop: product, bytes },
    backward: { flop: 2 * product, bytes: 2 * bytes },
    check: ({ values: { x, weight, bias }, dY, y, gradients }) => ({
      forward: sampledError(y, (index) => {
        const [row, column] = [Math.floor(index / outFeatures), index % outFeatures];
        let sum = bias![column]!;
        for (let i = 0; i < inFeatures; i++) sum += x![row * inFeatures + i]! * weight![column * inFeatures + i]!;
        return sum;
      }),
      backward: Math.max(
        sampledProductError(gradients.x!, { n: inFeatures, k: outFeatures }, (row, at) => dY[row * outFeatures + at]!, (at, column) => weight![at * inFeatures + column]!),
        sampledProductError(gradients.weight!, { n: inFeatures, k: rows }, (row, at) => dY[at * outFeatures + row]!, (at, column) => x![at * inFeatures + column]!),
        sampledProductError(gradients.bias!, { n: outFeatures, k: rows }, () => 1, (at, column) => dY[at * outFeatures + column]!),
      ),
    }),
  };
}

const half = shapes.filter(([name]) => name === 'small qkv' || name === 'base mlp up').map((shape) => inF16(benchOf(shape), ['weight', 'bias']));

export const benches: BenchCase[] = [...shapes.map(benchOf), ...half].map(opCase);
