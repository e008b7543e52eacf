import { ops } from '../src/autograd/index.ts';
import { layerNormBackwardReference, layerNormReference } from '../src/autograd/ops/layer-norm.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { wholeCheck } from './checks.ts';

const shapes: [name: string, rows: number, columns: number][] = [
  ['tiny stem 1', 16384, 16],
  ['tiny tokens', 2048, 64],
  ['small tokens', 1728, 256],
  ['comparison', 4096, 512],
  ['small stem 1', 216000, 32],
  ['base tokens', 13824, 384],
];

export const benches: BenchCase[] = shapes.map(([name, rows, columns]) =>
  opCase({
    family: 'layer-norm',
    name: `${name} ${rows}×${columns}`,
    inputs: { x: { shape: [rows, columns] }, weight: { shape: [columns] }, bias: { shape: [columns] } },
    run: ({ x, weight, bias }) => ops.layerNorm(x!, weight!, bias!),
    forward: { flop: 8 * rows * columns, bytes: 8 * rows * columns },
    backward: { flop: 14 * rows * columns, bytes: 12 * rows * columns },
    check: wholeCheck(
      ({ x, weight, bias }) => layerNormReference(x!, weight!, bias!, columns),
      ({ x, weight }, dY) => layerNormBackwardReference(x!, weight!, dY, columns),
    ),
  }),
);
