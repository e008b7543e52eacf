import { ops } from '../src/autograd/index.ts';
import { blockTensorTrainBackwardReference, blockTensorTrainReference } from '../src/autograd/ops/block-tensor-train.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { wholeCheck } from './checks.ts';

/** The SFP heads: d_in = m1·m0 → d_out = n0·n1 at rank r, for a batch of rows (MODEL §2). */
const heads: [name: string, rows: number, m1: number, m0: number, n0: number, n1: number, rank: number][] = [
  ['text head 768→512', 64, 24, 32, 16, 32, 8],
  ['base image head 384→512', 64, 12, 32, 16, 32, 8],
  ['tiny image head 64→64', 8, 4, 16, 4, 16, 4],
];

export const benches: BenchCase[] = heads.map(([name, rows, m1, m0, n0, n1, rank]) => {
  const shapes = [[m1, m0, n0 * rank], [n0, m1 * rank, n1]];
  const options = { inFactors: [m1, m0], outFactors: [n0, n1] };
  const parameters = m1 * m0 * n0 * rank + n0 * m1 * rank * n1;
  const bytes = 4 * (parameters + rows * (m1 * m0 + n0 * n1));
  return opCase({
    family: 'block-tensor-train',
    name: `${name}, ${rows} rows`,
    inputs: { x: { shape: [rows, m1 * m0] }, first: { shape: shapes[0]! }, second: { shape: shapes[1]! } },
    run: ({ x, first, second }) => ops.blockTensorTrain(x!, [first!, second!], options),
    forward: { flop: 2 * rows * parameters, bytes },
    backward: { flop: 4 * rows * parameters, bytes: 2 * bytes },
    check: wholeCheck(
      ({ x, first, second }) => blockTensorTrainReference(x!, [first!, second!], shapes, options),
      ({ x, first, second }, dY) => {
        const gradients = blockTensorTrainBackwardReference(x!, [first!, second!], shapes, dY, options);
        return { x: gradients.x, first: gradients.cores[0]!, second: gradients.cores[1]! };
      },
    ),
  });
});
