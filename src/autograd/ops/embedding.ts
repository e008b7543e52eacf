import backwardSource from '../../../kernels/embedding.backward.wgsl';
import forwardSource from '../../../kernels/embedding.forward.wgsl';
import { check, checkShape, defineKernel, formatShape, sizeOf, type Shape } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { innermost } from '../split-axes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

const forwardKernel = defineKernel({
  label: 'embedding.forward',
  source: forwardSource,
  inputs: ['ids', 'weight'],
  outputs: ['y'],
  params: { count: 'u32', columns: 'u32', vocabulary: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count, columns }, { WORKGROUP_SIZE }) => Math.ceil((count! * columns!) / WORKGROUP_SIZE!),
  slab: { param: 'count', bindings: ['ids', 'y'] },
  split: ({ columns }) => [innermost('columns', columns!, 'weight', 'y')],
});

const backwardKernel = defineKernel({
  label: 'embedding.backward',
  source: backwardSource,
  inputs: ['rows', 'offsets', 'positions', 'dy'],
  outputs: ['d_weight'],
  params: { touched: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ touched, columns }, { WORKGROUP_SIZE }) => Math.ceil((touched! * columns!) / WORKGROUP_SIZE!),
  split: ({ columns }) => [innermost('columns', columns!, 'dy', 'd_weight')],
});

/**
 * Rows of a table: y[..., :] = weight[ids[...], :].
 *
 * `weight` [V, C]; `ids` on the host, row-major in `idsShape` (default: one axis), so that ids are checked here and the backward
 * pass can group equal ids and sum each row in a fixed order. Result [...idsShape, C]. Throws for an id ≥ V. Gradient: weight,
 * zero in rows that no id names.
 */
export const embedding = defineOp('embedding', (weight: Tensor, ids: Uint32Array, idsShape: Shape = [ids.length]): Tensor => {
  const { engine } = weight;
  checkDType(weight, 'embedding', 'weight');
  checkTensor(weight, 'embedding', 'weight', [null, null]);
  checkShape(idsShape, 'embedding');
  check(ids.length === sizeOf(idsShape), 'embedding', () => `ids of shape ${formatShape(idsShape)} hold ${sizeOf(idsShape)} values, got ${ids.length}`);
  const [vocabulary, columns] = weight.shape as [number, number];
  const stray = ids.findIndex((id) => id >= vocabulary);
  check(stray < 0, 'embedding', () => `ids must be below ${vocabulary}, the rows of weight, got ${ids[stray]} at ${stray}; use the tokenizer that the table was made for`);
  const own = Uint32Array.from(ids); // backward must not see what the caller writes into it later
  const y = engine.empty([...idsShape, columns]);
  runKernel(forwardKernel, { ids: engine.tensor(own), weight, y }, { count: own.length, columns, vocabulary });
  return record(y, 'embedding', [weight], {}, (dY) => {
    const { rows, offsets, positions } = groupEqual(own);
    const dWeight = engine.zeros([vocabulary, columns]);
    const grouped = { rows: engine.tensor(rows), offsets: engine.tensor(offsets), positions: engine.tensor(positions) };
    runKernel(backwardKernel, { ...grouped, dy: dY, d_weight: dWeight }, { touched: rows.length, columns });
    return [dWeight];
  });
});

/** weight[ids[n], :] as [N, C] for `ids` u32 [N] on the GPU. No gradient; an id past the table reads its last row. */
export function selectRows(weight: Tensor, ids: Tensor): Tensor {
  const [vocabulary, columns] = weight.shape as [number, number];
  const y = weight.engine.empty([ids.size, columns]);
  runKernel(forwardKernel, { ids, weight, y }, { count: ids.size, columns, vocabulary });
  return y;
}

/** The ids that occur (ascending), and where: `positions[offsets[r]..offsets[r+1])` are the places of `rows[r]`, ascending. */
function groupEqual(ids: Uint32Array): { rows: Uint32Array<ArrayBuffer>; offsets: Uint32Array<ArrayBuffer>; positions: Uint32Array<ArrayBuffer> } {
  const positions = Uint32Array.from(ids, (_, position) => position).sort((a, b) => ids[a]! - ids[b]! || a - b);
  const rows: number[] = [];
  const offsets: number[] = [];
  positions.forEach((position, i) => {
    if (i > 0 && ids[position] === rows.at(-1)) return;
    rows.push(ids[position]!);
    offsets.push(i);
  });
  offsets.push(positions.length);
  return { rows: Uint32Array.from(rows), offsets: Uint32Array.from(offsets), positions };
}

/** Float64 reference of `embedding`; `weight` is [V, columns] flat. Plain loops, for tests. */
export function embeddingReference(weight: Float64Array, ids: Uint32Array, columns: number): Float64Array {
  const y = new Float64Array(ids.length * columns);
  ids.forEach((id, n) => y.set(weight.subarray(id * columns, (id + 1) * columns), n * columns));
  return y;
}

/** Gradient of `embeddingReference` with respect to weight. */
export function embeddingBackwardReference(weight: Float64Array, ids: Uint32Array, dY: Float64Array, columns: number): Float64Array {
  const dWeight = new Float64Array(weight.length);
  ids.forEach((id, n) => {
    for (let c = 0; c < columns; c++) dWeight[id * columns + c]! += dY[n * columns + c]!;
  });
  return dWeight;
}
