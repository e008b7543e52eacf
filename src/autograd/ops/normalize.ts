import backwardRowsSource from '../../../kernels/normalize.backward-rows.wgsl';
import backwardSource from '../../../kernels/normalize.backward.wgsl';
import forwardRowsSource from '../../../kernels/normalize.forward-rows.wgsl';
import forwardSource from '../../../kernels/normalize.forward.wgsl';
import { check, defineKernel, normalizeAxis } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { transpose } from './permute.ts';
import { byRow, rowPlan, type RowPlan } from './row-plan.ts';

/** Shortest row that is still scaled to length 1; as torch.nn.functional.normalize. */
export const UNIT_EPSILON = 1e-12;

export interface NormalizeOptions {
  /** Axis whose vectors get length 1. Default the last; another one costs two transpositions. */
  dim?: number;
  /** Least length to divide by. PyTorch's default. */
  eps?: number;
  /** Chosen by the adapter unless given (for tests). */
  plan?: RowPlan;
}

const forwardKernel = defineKernel({
  label: 'normalize.forward',
  source: forwardSource,
  inputs: ['x'],
  outputs: ['y', 'norm'],
  params: { rows: 'u32', columns: 'u32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['x', 'y', 'norm'] },
});

const backwardKernel = defineKernel({
  label: 'normalize.backward',
  source: backwardSource,
  inputs: ['y', 'norm', 'dy'],
  outputs: ['dx'],
  params: { rows: 'u32', columns: 'u32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['y', 'norm', 'dy', 'dx'] },
});

const forwardRowsKernel = defineKernel({ ...forwardKernel, ...byRow, label: 'normalize.forward-rows', source: forwardRowsSource });
const backwardRowsKernel = defineKernel({ ...backwardKernel, ...byRow, label: 'normalize.backward-rows', source: backwardRowsSource });

/** L2 normalisation: x / max(‖x‖, eps) along `dim`. Gradient (I − yyᵀ)dY/‖x‖, and dY/eps where ‖x‖ ≤ eps. Saves y and ‖x‖. */
export const normalize = defineOp('normalize', (x: Tensor, { dim = -1, eps = UNIT_EPSILON, plan }: NormalizeOptions = {}): Tensor => {
  checkDType(x, 'normalize', 'x');
  check(eps > 0, 'normalize', () => `eps must be positive, got ${eps}`);
  const axis = normalizeAxis(dim, x.rank, 'normalize');
  if (axis !== x.rank - 1) return transpose(normalizeRows(transpose(x, axis, -1), eps, plan), axis, -1);
  return normalizeRows(x, eps, plan);
});

/** Rows of `x` [..., columns] divided by max(‖x‖, eps), and ‖x‖ [rows]. No tape: for `normalize` and the contrastive losses. */
export function unitRows(x: Tensor, eps = UNIT_EPSILON, plan?: RowPlan): { y: Tensor; norm: Tensor } {
  const columns = x.shape.at(-1)!;
  const rows = x.size / columns;
  const y = x.engine.empty(x.shape);
  const norm = x.engine.empty([rows]);
  runKernel(rowPlan(x.engine, plan) === 'row' ? forwardRowsKernel : forwardKernel, { x, y, norm }, { rows, columns, epsilon: eps });
  return { y, norm };
}

function normalizeRows(x: Tensor, eps: number, plan?: RowPlan): Tensor {
  const { engine } = x;
  const oneByOne = rowPlan(engine, plan) === 'row';
  const columns = x.shape.at(-1)!;
  const rows = x.size / columns;
  const { y, norm } = unitRows(x, eps, plan);
  return record(y, 'normalize', [x], { y, norm }, (dY, saved) => {
    const dX = engine.empty(dY.shape);
    runKernel(oneByOne ? backwardRowsKernel : backwardKernel, { y: saved.y, norm: saved.norm, dy: dY, dx: dX }, { rows, columns, epsilon: eps });
    return [dX];
  });
}

/** Float64 reference of `normalize` along rows; `x` is [rows, columns] flat. */
export function normalizeReference(x: Float64Array, columns: number, eps = 1e-12): Float64Array {
  return Float64Array.from(x, (value, i) => value / Math.max(rowNorm(x, i - (i % columns), columns), eps));
}

/** Gradient of `normalizeReference` with respect to x. */
export function normalizeBackwardReference(x: Float64Array, columns: number, dY: Float64Array, eps = 1e-12): Float64Array {
  const dX = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const norm = rowNorm(x, start, columns);
    const length = Math.max(norm, eps);
    let along = 0;
    for (let c = 0; c < columns; c++) along += norm > eps ? (x[start + c]! / norm) * dY[start + c]! : 0;
    for (let c = 0; c < columns; c++) dX[start + c] = (dY[start + c]! - (x[start + c]! / length) * along) / length;
  }
  return dX;
}

function rowNorm(x: Float64Array, start: number, columns: number): number {
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += x[start + c]! ** 2;
  return Math.sqrt(sum);
}
