import source from '../../../kernels/column-sum.wgsl';
import { defineKernel, floats, type SplitAxis } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import { chunksOf, innermost, layouts } from '../split-axes.ts';
import type { Tensor } from '../tensor.ts';

const columnSumKernel = defineKernel({
  label: 'column-sum',
  source,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x'),
  params: { rows: 'u32', columns: 'u32', rows_per_chunk: 'u32', chunks: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ columns, chunks }, { WORKGROUP_SIZE }) => Math.ceil((columns! * chunks!) / WORKGROUP_SIZE!),
  split: (params) => chunkedAxes(params, ['x'], [], ['y']),
});

const rowsPerChunk = 128;

/**
 * How a kernel is cut that sums chunks of rows: into whole chunks, or by columns. `matrices` are [rows, columns], `vectors` [rows],
 * and `sums` hold a row of columns a chunk.
 */
export function chunkedAxes({ rows, columns, rows_per_chunk: unit, chunks }: Record<string, number>, matrices: string[], vectors: string[], sums: string[]): SplitAxis[] {
  return [
    {
      extent: rows!,
      unit: unit!,
      bindings: { ...layouts([...matrices, ...vectors], {}), ...layouts(sums, chunksOf(unit!, chunks!)) },
      params: (_, count) => ({ rows: count, chunks: Math.ceil(count / unit!) }),
    },
    innermost('columns', columns!, ...matrices, ...sums),
  ];
}

/** How a sum over `rows` is cut into chunks that run side by side. */
export function rowChunks(rows: number): { rows_per_chunk: number; chunks: number } {
  return { rows_per_chunk: Math.min(rows, rowsPerChunk), chunks: Math.ceil(rows / rowsPerChunk) };
}

/** Sum of each column of `x`, seen as [rows, columns]: [columns] in f32. No gradient: for the backward passes of other ops. */
export function columnSum(x: Tensor, rows: number, columns: number): Tensor {
  const { rows_per_chunk, chunks } = rowChunks(rows);
  const y = x.engine.empty(chunks === 1 ? [columns] : [chunks, columns]);
  runKernel(columnSumKernel, { x, y }, { rows, columns, rows_per_chunk, chunks });
  if (chunks === 1) return y;
  const sum = columnSum(y, chunks, columns);
  y.dispose();
  return sum;
}
