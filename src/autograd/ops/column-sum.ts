import source from '../../../kernels/column-sum.wgsl';
import { defineKernel } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

const columnSumKernel = defineKernel({
  label: 'column-sum',
  source,
  inputs: ['x'],
  outputs: ['y'],
  params: { rows: 'u32', columns: 'u32', rows_per_chunk: 'u32', chunks: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ columns, chunks }, { WORKGROUP_SIZE }) => Math.ceil((columns! * chunks!) / WORKGROUP_SIZE!),
});

const rowsPerChunk = 128;

/** How a sum over `rows` is cut into chunks that run side by side. */
export function rowChunks(rows: number): { rows_per_chunk: number; chunks: number } {
  return { rows_per_chunk: Math.min(rows, rowsPerChunk), chunks: Math.ceil(rows / rowsPerChunk) };
}

/** Sum of each column of `x`, seen as [rows, columns]: [columns]. No gradient: for the backward passes of other ops. */
export function columnSum(x: Tensor, rows: number, columns: number): Tensor {
  const { rows_per_chunk, chunks } = rowChunks(rows);
  const y = x.engine.empty(chunks === 1 ? [columns] : [chunks, columns]);
  runKernel(columnSumKernel, { x, y }, { rows, columns, rows_per_chunk, chunks });
  if (chunks === 1) return y;
  const sum = columnSum(y, chunks, columns);
  y.dispose();
  return sum;
}
