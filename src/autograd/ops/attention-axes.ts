import { sizeOf, type AxisLayout, type Params, type SplitAxis } from '../../engine/index.ts';
import { layouts, narrowedStrides } from '../split-axes.ts';

type Numbers = Record<string, number>;
type Four = readonly [number, number, number, number];

/** Bindings with a row a query, and with a row a key. */
interface Rows {
  byQuery: readonly string[];
  byKey: readonly string[];
}

/**
 * The axes of an attention kernel: batches, heads, queries and keys. `sums` names the outputs whose rows are sums over queries or over
 * keys: their pieces are added up. Along keys the forward pass goes on from piece to piece, as within one.
 */
export function attentionAxes(params: Numbers, { byQuery, byKey }: Rows, sums: { queries?: readonly string[]; keys?: readonly string[] } = {}): SplitAxis[] {
  const { pairs, queries, keys, diagonal } = params as Record<'pairs' | 'queries' | 'keys' | 'diagonal', number>;
  const strides = params.bias_stride as unknown as Four;
  const heads = strides[0] || strides[1] ? params.heads! : 1; // only the bias tells heads from batches
  const batches = pairs / heads;
  const rows = [...byQuery, ...byKey];
  const bias = (axis: number): Record<string, AxisLayout> => (strides[axis] ? { bias: { inner: strides[axis] } } : {});
  const narrowed = (axis: number, extent: number, count: number): Params => ({ bias_stride: strides[axis] ? narrowedStrides(strides, strides[axis], extent, count) : strides });
  const axes: SplitAxis[] = [
    { extent: batches, bindings: { ...layouts(rows, {}), ...bias(0) }, params: (_, count) => ({ pairs: count * heads, heads }) },
    { extent: heads, bindings: { ...layouts(rows, { outer: batches }), ...bias(1) }, params: (_, count) => ({ pairs: batches * count, heads: count, ...narrowed(1, heads, count) }) },
  ];
  axes.push({
    extent: queries,
    bindings: { ...layouts(byQuery, { outer: pairs }), ...bias(2) },
    params: (first, count) => ({ queries: count, diagonal: diagonal + first, ...narrowed(2, queries, count) }),
    sums: sums.queries ?? [],
  });
  axes.push({
    extent: keys,
    bindings: { ...layouts(byKey, { outer: pairs }), ...bias(3) },
    params: (first, count) => ({ keys: count, diagonal: diagonal - first, resume: first > 0 ? 1 : params.resume!, ...narrowed(3, keys, count) }),
    sums: sums.keys ?? [],
    resumes: byQuery.filter((name) => name === 'y'),
  });
  return axes;
}

/** The axes of the bias gradient: those that the bias has cut its gradient, along the others the pieces are added up. */
export function biasGradientAxes(params: Numbers): SplitAxis[] {
  const full = [params.batches!, params.heads!, params.queries!, params.keys!];
  const shape = params.bias_shape as unknown as Four;
  const names = ['batches', 'heads', 'queries', 'keys'];
  const rows = [['q', 'dy', 'row', 'k', 'v'], ['q', 'dy', 'row', 'k', 'v'], ['q', 'dy', 'row'], ['k', 'v']];
  return full.map((extent, axis): SplitAxis => {
    const outer = sizeOf(full.slice(0, Math.min(axis, 2)));
    const own = layouts(['bias', 'd_bias'], { outer: sizeOf(shape.slice(0, axis)) });
    return {
      extent,
      bindings: { ...layouts(rows[axis]!, { outer }), ...(shape[axis] > 1 ? own : {}) },
      params: (first, count) => ({
        [names[axis]!]: count,
        bias_shape: shape.map((other, k) => (k === axis && other > 1 ? count : other)),
        diagonal: params.diagonal! + (axis === 2 ? first : axis === 3 ? -first : 0),
      }),
      sums: shape[axis] > 1 ? [] : ['d_bias'],
    };
  });
}
