import { ops } from '../src/autograd/index.ts';
import { softmaxReference } from '../src/autograd/ops/softmax.ts';
import { relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';

/** The pooling over all tokens: softmax of learned scores, then each head averages its channels (MODEL §5). */
const shapes: [name: string, batch: number, heads: number, tokens: number, headDim: number][] = [
  ['tiny', 8, 4, 256, 16],
  ['small', 1, 8, 1728, 32],
  ['base', 1, 6, 13824, 64],
];

export const benches: BenchCase[] = shapes.map(([name, batch, heads, tokens, headDim]) => {
  const pairs = batch * heads;
  const bytes = 4 * pairs * tokens * (headDim + 2);
  return opCase({
    family: 'attention-pool',
    name: `${name} ${batch}×${heads}×${tokens}×${headDim}`,
    inputs: { score: { shape: [batch, heads, 1, tokens] }, values: { shape: [batch, heads, tokens, headDim] } },
    run: ({ score, values }) => ops.matmul(ops.softmax(score!), values!),
    forward: { flop: 2 * pairs * tokens * headDim, bytes },
    backward: { flop: 4 * pairs * tokens * headDim, bytes: 2 * bytes },
    check: ({ values: { score, values }, dY, y, gradients }) => {
      const p = softmaxReference(score!, [pairs, tokens]);
      const expected = new Float64Array(pairs * headDim);
      const dValues = new Float64Array(pairs * tokens * headDim);
      const dP = new Float64Array(pairs * tokens);
      for (let row = 0; row < pairs * tokens; row++) {
        const at = Math.floor(row / tokens) * headDim;
        for (let c = 0; c < headDim; c++) {
          expected[at + c]! += p[row]! * values![row * headDim + c]!;
          dValues[row * headDim + c] = p[row]! * dY[at + c]!;
          dP[row]! += values![row * headDim + c]! * dY[at + c]!;
        }
      }
      const means = Float64Array.from({ length: pairs }, (_, pair) => {
        let mean = 0;
        for (let row = pair * tokens; row < (pair + 1) * tokens; row++) mean += p[row]! * dP[row]!;
        return mean;
      });
      const dScore = p.map((weight, row) => weight * (dP[row]! - means[Math.floor(row / tokens)]!));
      return { forward: relativeError(y, expected), backward: Math.max(relativeError(gradients.values!, dValues), relativeError(gradients.score!, dScore)) };
    },
  });
});
