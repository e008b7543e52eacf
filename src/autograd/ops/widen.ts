import source from '../../../kernels/widen.wgsl';
import { defineKernel, floats, type FloatType } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { chunksOf } from '../split-axes.ts';
import type { Tensor } from '../tensor.ts';

const bytesPerWord = 4;
/** Bytes of `x` a piece is a multiple of: its part of every binding then starts where it can be bound in place. */
const pieceUnit = 256;

const kernel = defineKernel({
  label: 'widen',
  source,
  inputs: ['x', 'table'],
  outputs: ['y'],
  elements: floats('y'),
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / (bytesPerWord * WORKGROUP_SIZE!)),
  split: ({ count }) => [
    {
      extent: count!,
      unit: pieceUnit,
      bindings: { x: chunksOf(bytesPerWord, Math.ceil(count! / bytesPerWord)), y: {} },
      params: (_, part) => ({ count: part }),
    },
  ],
});

/**
 * The value of each byte: y = table[x]. `x` u8 of any shape, `table` [256]; result in the shape of `x`: f32, bit for bit the table's
 * values, or f16, those rounded. So 8-bit input crosses to the GPU at a quarter of its size. No gradient.
 */
export const widen = defineOp('widen', (x: Tensor, table: Tensor, { dtype = 'f32' }: { dtype?: FloatType } = {}): Tensor => {
  checkDType(x, 'widen', 'x', 'u8');
  checkDType(table, 'widen', 'table');
  checkTensor(table, 'widen', 'table', [256]);
  const y = x.engine.empty(x.shape, dtype);
  runKernel(kernel, { x, table, y }, { count: x.size });
  return y;
});

/** Float64 reference of `widen`. */
export function widenReference(x: ArrayLike<number>, table: Float64Array): Float64Array {
  return Float64Array.from(x, (byte) => table[byte]!);
}
