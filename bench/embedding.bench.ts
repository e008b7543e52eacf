import { ops } from '../src/autograd/index.ts';
import { embeddingReference } from '../src/autograd/ops/embedding.ts';
import { randomArray, relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';

/** The text tower's words: vocabulary and width, texts and their tokens (CXR-BERT's table for `small` and `base`). */
const tables: [name: string, vocabulary: number, width: number, texts: number, tokens: number][] = [
  ['tiny prompts', 400, 96, 36, 24],
  ['small and base reports', 30522, 768, 4, 256],
];

export const benches: BenchCase[] = tables.map(([name, vocabulary, width, texts, tokens]) => {
  const ids = Uint32Array.from(randomArray(texts * tokens, 7), (value) => Math.min(vocabulary - 1, Math.floor(((value + 1) / 2) * vocabulary)));
  const read = 4 * 2 * ids.length * width;
  return opCase({
    family: 'embedding',
    name: `${name} ${texts}×${tokens} of ${vocabulary}×${width}`,
    inputs: { weight: { shape: [vocabulary, width] } },
    run: ({ weight }) => ops.embedding(weight!, ids, [texts, tokens]),
    forward: { flop: 0, bytes: read },
    // The whole table's gradient is written, most of it zeros.
    backward: { flop: 0, bytes: read + 4 * vocabulary * width },
    check: ({ values: { weight }, dY, y, gradients }) => {
      const touched = [...new Set(ids)];
      const sums = new Map(touched.map((id) => [id, new Float64Array(width)]));
      ids.forEach((id, n) => sums.get(id)!.forEach((_, c, row) => (row[c]! += dY[n * width + c]!)));
      const rowOf = (id: number): Float32Array => gradients.weight!.subarray(id * width, (id + 1) * width);
      const isZero = gradients.weight!.every((value, at) => value === 0 || sums.has(Math.floor(at / width)));
      return {
        forward: relativeError(y, embeddingReference(weight!, ids, width)),
        backward: isZero ? relativeError(touched.flatMap((id) => [...rowOf(id)]), touched.flatMap((id) => [...sums.get(id)!])) : Infinity,
      };
    },
  });
});
