/** Extents of q [batches, heads, queries, headDim] and of k and v [batches, heads, keys, headDim]. */
export interface AttentionDimensions {
  batches: number;
  heads: number;
  queries: number;
  keys: number;
  headDim: number;
}

/** Operands of the float64 reference. `biasShape` has four axes, each that of [batches, heads, queries, keys] or 1. */
export interface AttentionOperands {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  bias?: Float64Array;
}

export interface AttentionReferenceOptions {
  biasShape?: readonly number[];
  causal?: boolean;
  scale?: number;
}

/** Float64 reference of `scaledDotProductAttention`. Plain loops, for tests. */
export function scaledDotProductAttentionReference(operands: AttentionOperands, d: AttentionDimensions, options: AttentionReferenceOptions = {}): Float64Array {
  const y = new Float64Array(operands.q.length);
  eachQuery(operands, d, options, ({ queryStart, keyStart, p }) => {
    p.forEach((weight, j) => {
      for (let c = 0; c < d.headDim; c++) y[queryStart + c]! += weight * operands.v[keyStart + j * d.headDim + c]!;
    });
  });
  return y;
}

/** Gradients of `scaledDotProductAttentionReference` with respect to q, k, v and, where there is one, bias. */
export function scaledDotProductAttentionBackwardReference(
  operands: AttentionOperands,
  dY: Float64Array,
  d: AttentionDimensions,
  options: AttentionReferenceOptions = {},
): { q: Float64Array; k: Float64Array; v: Float64Array; bias?: Float64Array } {
  const { q, k, v, bias } = operands;
  const dQ = new Float64Array(q.length);
  const dK = new Float64Array(k.length);
  const dV = new Float64Array(v.length);
  const dBias = bias && new Float64Array(bias.length);
  const scale = options.scale ?? 1 / Math.sqrt(d.headDim);
  eachQuery(operands, d, options, ({ queryStart, keyStart, p, biasIndex }) => {
    const dP = p.map((_, j) => dotProduct(dY, queryStart, v, keyStart + j * d.headDim, d.headDim));
    const delta = p.reduce((sum, weight, j) => sum + weight * dP[j]!, 0);
    p.forEach((weight, j) => {
      const dScore = weight * (dP[j]! - delta);
      if (dBias) dBias[biasIndex[j]!]! += dScore;
      for (let c = 0; c < d.headDim; c++) {
        const at = keyStart + j * d.headDim + c;
        dQ[queryStart + c]! += scale * dScore * k[at]!;
        dK[at]! += scale * dScore * q[queryStart + c]!;
        dV[at]! += weight * dY[queryStart + c]!;
      }
    });
  });
  return { q: dQ, k: dK, v: dV, ...(dBias ? { bias: dBias } : {}) };
}

interface QueryRow {
  queryStart: number;
  keyStart: number;
  /** Softmax weights of the keys that the query sees. */
  p: number[];
  /** Where the bias of each of these keys stands. */
  biasIndex: number[];
}

function eachQuery({ q, k, bias }: AttentionOperands, d: AttentionDimensions, options: AttentionReferenceOptions, visit: (row: QueryRow) => void): void {
  const { causal = false, scale = 1 / Math.sqrt(d.headDim), biasShape = [1, 1, 1, 1] } = options;
  for (let b = 0; b < d.batches; b++) {
    for (let h = 0; h < d.heads; h++) {
      for (let i = 0; i < d.queries; i++) {
        const pair = b * d.heads + h;
        const queryStart = (pair * d.queries + i) * d.headDim;
        const keyStart = pair * d.keys * d.headDim;
        const count = causal ? Math.min(d.keys, i + 1) : d.keys;
        const biasIndex = Array.from({ length: count }, (_, j) => broadcastIndex([b, h, i, j], biasShape));
        const scores = biasIndex.map((at, j) => scale * dotProduct(q, queryStart, k, keyStart + j * d.headDim, d.headDim) + (bias?.[at] ?? 0));
        const largest = Math.max(...scores);
        const exponentials = scores.map((score) => Math.exp(score - largest));
        const sum = exponentials.reduce((total, e) => total + e, 0);
        visit({ queryStart, keyStart, p: exponentials.map((e) => e / sum), biasIndex });
      }
    }
  }
}

function broadcastIndex(at: readonly number[], shape: readonly number[]): number {
  return at.reduce((index, position, axis) => index * shape[axis]! + (shape[axis] === 1 ? 0 : position), 0);
}

function dotProduct(a: Float64Array, aStart: number, b: Float64Array, bStart: number, length: number): number {
  let sum = 0;
  for (let c = 0; c < length; c++) sum += a[aStart + c]! * b[bStart + c]!;
  return sum;
}
