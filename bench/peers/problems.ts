/** The set that engines are compared on: shapes, seeded operands, and what float64 loops make of them. */
import { conv3dBackwardReference, conv3dReference } from '../../src/autograd/ops/conv3d.ts';
import { layerNormBackwardReference, layerNormReference } from '../../src/autograd/ops/layer-norm.ts';
import { matmulReference } from '../../src/autograd/ops/matmul.ts';
import { scaledDotProductAttentionBackwardReference, scaledDotProductAttentionReference } from '../../src/autograd/ops/scaled-dot-product-attention.ts';
import { product, randomArray } from '../../test/support/arrays.ts';

export type ProblemKind = 'matmul' | 'conv3d' | 'attention' | 'layerNorm' | 'trainingStep';

export interface Problem {
  name: string;
  kind: ProblemKind;
  /** Forward and backward: gradients of Σ y·dY with respect to every operand. */
  backward: boolean;
  /** By operand, in our layouts (PyTorch's); `dY` is the last where `backward`. */
  shapes: Record<string, number[]>;
  /** Least ratio of the best correct peer's time to ours that we claim. */
  target: number;
}

export type Operands = Record<string, Float32Array<ArrayBuffer>>;

const n = 1024;
const channels = { in: 16, out: 32, extent: 32, kernel: 3 };
const attention = { pairs: 8, tokens: 576, headDim: 32 };
const rows = 4096;
const columns = 512;

const volume = (count: number): number[] => [1, count, channels.extent, channels.extent, channels.extent];
const heads = [1, attention.pairs, attention.tokens, attention.headDim];

const forward: Omit<Problem, 'backward'>[] = [
  { name: 'matmul 1024³', kind: 'matmul', shapes: { a: [n, n], b: [n, n] }, target: 1.2 },
  { name: 'conv3d 16→32, 32³, k3', kind: 'conv3d', shapes: { x: volume(channels.in), weight: [channels.out, channels.in, 3, 3, 3], bias: [channels.out] }, target: 1.5 },
  { name: 'attention 8×576×32', kind: 'attention', shapes: { q: heads, k: heads, v: heads }, target: 1.5 },
  { name: 'layerNorm 4096×512', kind: 'layerNorm', shapes: { x: [rows, columns], weight: [columns], bias: [columns] }, target: 1.5 },
];

const outputShape: Partial<Record<ProblemKind, number[]>> = { matmul: [n, n], conv3d: volume(channels.out), attention: heads, layerNorm: [rows, columns] };

export const problems: Problem[] = forward.flatMap((problem) => {
  const alone = { ...problem, name: `${problem.name} forward`, backward: false };
  if (problem.kind === 'matmul') return [alone];
  return [alone, { ...problem, name: `${problem.name} forward+backward`, backward: true, shapes: { ...problem.shapes, dY: outputShape[problem.kind]! } }];
});

problems.push({ name: 'training step, tiny, 8 volumes, 36 texts', kind: 'trainingStep', backward: true, shapes: {}, target: 2 });

/** The same values in every process. */
export function operandsOf({ shapes }: Problem): Operands {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape], index) => [name, Float32Array.from(randomArray(product(shape), index + 1))]));
}

/** The result `y`, or the gradients by operand, in float64; null for the whole step, whose float64 twin nobody wrote. */
export function expectedOf(problem: Problem): Record<string, Float64Array> | null {
  const values = Object.fromEntries(Object.entries(operandsOf(problem)).map(([name, data]) => [name, Float64Array.from(data)])) as Record<string, Float64Array>;
  const { shapes, backward } = problem;
  switch (problem.kind) {
    case 'trainingStep':
      return null;
    case 'matmul':
      return { y: matmulReference(values.a!, values.b!, { m: n, n, k: n }) };
    case 'conv3d': {
      const options = { padding: 1 };
      if (!backward) return { y: conv3dReference(values.x!, values.weight!, values.bias!, shapes.x!, shapes.weight!, options) };
      return { ...conv3dBackwardReference(values.x!, values.weight!, values.dY!, shapes.x!, shapes.weight!, options) };
    }
    case 'attention': {
      const d = { batches: 1, heads: attention.pairs, queries: attention.tokens, keys: attention.tokens, headDim: attention.headDim };
      const operands = { q: values.q!, k: values.k!, v: values.v! };
      if (!backward) return { y: scaledDotProductAttentionReference(operands, d) };
      return { ...scaledDotProductAttentionBackwardReference(operands, values.dY!, d) } as Record<string, Float64Array>;
    }
    case 'layerNorm':
      if (!backward) return { y: layerNormReference(values.x!, values.weight!, values.bias!, columns) };
      return { ...layerNormBackwardReference(values.x!, values.weight!, values.dY!, columns) };
  }
}
