import source from '../../../kernels/tile-product.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

const TILE = 4;

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
  runKernel(tileProductKernel, { a, m, y }, {
    batches, rows, columns, steps,
    a_first: aStrides.first ?? 0, a_batch: aStrides.batch ?? 0, a_row: aStrides.row, a_step: aStrides.column,
    m_first: mStrides.first ?? 0, m_batch: mStrides.batch ?? 0, m_step: mStrides.row, m_column: mStrides.column,
    y_first: yFirst, y_batch: rows * columns, accumulate: Number(accumulate), scale,
  });
}
