/** Token grids brought to another size: trilinear, and by averages as FAST's taps are. */
import { ops } from '../src/autograd/index.ts';
import { avgPool3dBackwardReference, avgPool3dReference } from '../src/autograd/ops/avg-pool3d.ts';
import { interpolateBackwardReference, interpolateReference } from '../src/autograd/ops/interpolate.ts';
import { product } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { wholeCheck } from './checks.ts';
import { traffic } from './traffic.ts';

type Triple = [number, number, number];

function interpolate(name: string, shape: [number, number, ...Triple], size: Triple): BenchCase {
  const [from, to] = [product(shape), shape[0] * shape[1] * product(size)];
  return opCase({
    family: 'interpolate',
    name: `${name} ${shape.join('×')} → ${size.join('×')}`,
    inputs: { x: { shape } },
    run: ({ x }) => ops.interpolate(x!, { size }),
    ...traffic(from + to, from + to),
    check: wholeCheck(({ x }) => interpolateReference(x!, shape, size), (_, dY) => ({ x: interpolateBackwardReference(dY, shape, size) })),
  });
}

function avgPool3d(name: string, shape: [number, number, ...Triple], kernel: Triple): BenchCase {
  const size = product(shape);
  const both = size + size / product(kernel);
  return opCase({
    family: 'avg-pool3d',
    name: `${name} ${shape.join('×')} by ${kernel.join('·')}`,
    inputs: { x: { shape } },
    run: ({ x }) => ops.avgPool3d(x!, { kernel }),
    ...traffic(both, both),
    check: wholeCheck(({ x }) => avgPool3dReference(x!, shape, { kernel }), (_, dY) => ({ x: avgPool3dBackwardReference(dY, shape, { kernel }) })),
  });
}

export const benches: BenchCase[] = [
  interpolate('small grid to base', [1, 64, 12, 12, 12], [24, 24, 24]),
  interpolate('base grid to an odd one', [1, 64, 24, 24, 24], [15, 15, 15]),
  avgPool3d('teacher taps for small', [1, 512, 24, 24, 24], [2, 2, 2]),
];
