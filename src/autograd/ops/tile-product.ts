import source from '../../../kernels/tile-product.wgsl';
import { defineKernel, type BufferView, type Params, type SplitAxis } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import { narrowedStrides } from '../split-axes.ts';
import { runPieces } from '../split.ts';
import type { Tensor } from '../tensor.ts';

const TILE = 4;

function productAxes(params: Record<string, number>): SplitAxis[] {
  const { batches, rows, steps, columns, accumulate, a_batch, a_row, a_step, m_batch, m_step, m_column } = params as Record<string, number> & Record<'a_batch' | 'a_row' | 'a_step' | 'm_batch' | 'm_step' | 'm_column', number>;
  const narrowedA = (inner: number, extent: number, count: number): Params => {
    const [batch, row, step] = narrowedStrides([a_batch, a_row, a_step], inner, extent, count);
    return { a_batch: batch!, a_row: row!, a_step: step! };
  };
  const narrowedM = (inner: number, extent: number, count: number): Params => {
    const [batch, step, column] = narrowedStrides([m_batch, m_step, m_column], inner, extent, count);
    return { m_batch: batch!, m_step: step!, m_column: column! };
  };
  return [
    { extent: batches!, bindings: { ...(a_batch && { a: {} }), ...(m_batch && { m: {} }), y: {} }, params: (_, count) => ({ batches: count }) },
    {
      extent: rows!,
      bindings: { a: { inner: a_row }, y: { outer: batches! } },
      params: (_, count) => ({ rows: count, y_batch: count * columns!, ...narrowedA(a_row, rows!, count) }),
    },
    {
      extent: columns!,
      bindings: { m: { inner: m_column }, y: { inner: 1 } },
      params: (_, count) => ({ columns: count, y_batch: rows! * count, ...narrowedM(m_column, columns!, count) }),
    },
    {
      extent: steps!,
      bindings: { a: { inner: a_step }, m: { inner: m_step } },
      params: (first, count) => ({ steps: count, accumulate: first > 0 ? 1 : accumulate!, ...narrowedA(a_step, steps!, count), ...narrowedM(m_step, steps!, count) }),
    },
  ];
}

const tileProductKernel = defineKernel({
  label: 'tile-product',
  source,
  inputs: ['a', 'm'],
  outputs: ['y'],
  params: {
    batches: 'u32', rows: 'u32', columns: 'u32', steps: 'u32',
    a_first: 'u32', a_batch: 'u32', a_row: 'u32', a_step: 'u32',
    m_first: 'u32', m_batch: 'u32', m_step: 'u32', m_column: 'u32',
    y_first: 'u32', y_batch: 'u32', accumulate: 'u32', scale: 'f32',
  },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ batches, rows, columns }, { WORKGROUP_SIZE }) => Math.ceil((batches! * Math.ceil(rows! / TILE) * Math.ceil(columns! / TILE)) / WORKGROUP_SIZE!),
  split: productAxes,
});

/** Where an operand's elements lie, in elements. */
export interface Strides {
  first?: number;
  batch?: number;
  row: number;
  column: number;
}

/**
 * y[b] (+)= scale · a[b] · m[b], of [rows, steps] and [steps, columns] with free strides, into `y` (row-major) from `yFirst` on. No
 * gradient: the matrix part of losses and backward passes whose operands lie transposed or in chunks.
 */
export function tileProduct(
  a: Tensor,
  aStrides: Strides,
  m: Tensor,
  mStrides: Strides,
  y: Tensor,
  size: { batches?: number; rows: number; steps: number; columns: number },
  { accumulate = false, scale = 1, yFirst = 0 }: { accumulate?: boolean; scale?: number; yFirst?: number } = {},
): void {
  const { batches = 1, rows, steps, columns } = size;
  const { device } = y.engine;
  const params = {
    batches, rows, columns, steps,
    a_first: aStrides.first ?? 0, a_batch: aStrides.batch ?? 0, a_row: aStrides.row, a_step: aStrides.column,
    m_first: mStrides.first ?? 0, m_batch: mStrides.batch ?? 0, m_step: mStrides.row, m_column: mStrides.column,
    y_first: yFirst, y_batch: rows * columns, accumulate: Number(accumulate), scale,
  };
  if (Math.max(a.bytes, m.bytes, y.bytes) <= device.bindingLimit) return runKernel(tileProductKernel, { a, m, y }, params);
  // Pieces are cut out of exactly what the product reads and writes.
  const stretch = ({ view }: Tensor, first: number, size: number): BufferView => ({ ...view, offset: view.offset + 4 * first, bytes: 4 * size });
  const views = {
    a: stretch(a, params.a_first, (params.a_batch ? batches : 1) * rows * steps),
    m: stretch(m, params.m_first, (params.m_batch ? batches : 1) * steps * columns),
    y: stretch(y, yFirst, batches * rows * columns),
  };
  runPieces(device, tileProductKernel, views, { ...params, a_first: 0, m_first: 0, y_first: 0 });
}
