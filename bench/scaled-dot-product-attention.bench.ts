import { ops } from '../src/autograd/index.ts';
import { scaledDotProductAttentionBackwardReference, scaledDotProductAttentionReference } from '../src/autograd/ops/scaled-dot-product-attention.ts';
import { relativeError } from '../test/support/arrays.ts';
import { inF16, opCase, type BenchCase, type OpBench } from './bench-case.ts';

type Shape = [name: string, batches: number, heads: number, tokens: number, headDim: number];

const shapes: Shape[] = [
  ['tiny spatial', 32, 4, 64, 16],
  ['tiny temporal', 512, 4, 4, 16],
  ['small spatial', 12, 8, 144, 32],
  ['small temporal', 144, 8, 12, 32],
  ['teacher spatial, one slab', 1, 8, 576, 32],
  ['base spatial', 24, 6, 576, 64],
  ['base temporal', 576, 6, 24, 64],
  ['text', 4, 12, 512, 64],
];

function benchOf([name, batches, heads, tokens, headDim]: Shape): OpBench {
  const shape = [batches, heads, tokens, headDim];
  const size = tokens * headDim;
  const pairs = batches * heads;
  const product = 2 * pairs * tokens * tokens * headDim; // one of q·kᵀ, p·v, …
  const bytes = 4 * pairs * size;
  return {
    family: 'attention',
    name: `${name} ${batches}×${heads}×${tokens}×${headDim}`,
    inputs: { q: { shape }, k: { shape }, v: { shape } },
    run: ({ q, k, v }) => ops.scaledDotProductAttention(q!, k!, v!),
    forward: { flop: 2 * product, bytes: 4 * bytes },
    backward: { flop: 5 * product, bytes: 8 * bytes },
    check: ({ values, dY, y, gradients }) => {
      // The first and the last (batch, head) pair, whole.
      const errors = [0, pairs - 1].map((pair) => {
        const part = <A extends Float64Array | Float32Array>(array: A): A => array.subarray(pair * size, (pair + 1) * size) as A;
        const operands = { q: part(values.q!), k: part(values.k!), v: part(values.v!) };
        const d = { batches: 1, heads: 1, queries: tokens, keys: tokens, headDim };
        const expected = scaledDotProductAttentionBackwardReference(operands, part(dY), d);
        return {
          forward: relativeError(part(y), scaledDotProductAttentionReference(operands, d)),
          backward: Math.max(...(['q', 'k', 'v'] as const).map((operand) => relativeError(part(gradients[operand]!), expected[operand]))),
        };
      });
      return { forward: Math.max(...errors.map(({ forward }) => forward)), backward: Math.max(...errors.map(({ backward }) => backward)) };
    },
  };
}

const half = shapes.filter(([name]) => ['small spatial', 'small temporal', 'teacher spatial, one slab', 'base temporal'].includes(name)).map((shape) => inF16(benchOf(shape)));

export const benches: BenchCase[] = [...shapes.map(benchOf), ...half].map(opCase);
