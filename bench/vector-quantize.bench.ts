import { ops } from '../src/autograd/index.ts';
import { vectorQuantizeReference } from '../src/autograd/ops/vector-quantize.ts';
import { relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';

/** The teacher's codebook of 8192 codes, for its tokens or the part of one slab (MODEL §1.1.7). */
const shapes: [name: string, rows: number][] = [
  ['teacher, one slab', 576],
  ['teacher', 13824],
];
const codes = 8192;
const width = 512;
/** Rows whose nearest code is looked for on the CPU. */
const checkedRows = 12;

export const benches: BenchCase[] = shapes.map(([name, rows]) =>
  opCase({
    family: 'vector-quantize',
    name: `${name} ${rows} of ${codes}×${width}`,
    inputs: { x: { shape: [rows, width] }, codebook: { shape: [codes, width], constant: true } },
    run: ({ x, codebook }) => ops.vectorQuantize(x!, codebook!).quantised,
    forward: { flop: 2 * rows * codes * width, bytes: 4 * (2 * rows * width + codes * width) },
    // Straight through: dY itself.
    backward: { flop: 0, bytes: 0 },
    check: ({ values: { x, codebook }, dY, y, gradients }) => {
      const chosen = Array.from({ length: checkedRows }, (_, at) => Math.floor((at * (rows - 1)) / (checkedRows - 1)));
      const rowOf = <A extends Float64Array | Float32Array>(array: A, row: number): A => array.subarray(row * width, (row + 1) * width) as A;
      const nearest = vectorQuantizeReference(Float64Array.from(chosen.flatMap((row) => [...rowOf(x!, row)])), codebook!, width);
      return {
        forward: Math.max(...chosen.map((row, at) => relativeError(rowOf(y, row), rowOf(codebook!, nearest[at]!)))),
        backward: relativeError(gradients.x!, dY),
      };
    },
  }),
);
