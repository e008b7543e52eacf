/** Back through `unitRows` of normalize.ts, as the contrastive losses need it. */
import backwardRowsSource from '../../../kernels/unit-rows.backward-rows.wgsl';
import backwardSource from '../../../kernels/unit-rows.backward.wgsl';
import scalarProductSource from '../../../kernels/scalar-product.wgsl';
import { defineKernel, type Shape } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { UNIT_EPSILON } from './normalize.ts';
import { byRow, rowPlan, type RowPlan } from './row-plan.ts';

const backwardKernel = defineKernel({
  label: 'unit-rows.backward',
  source: backwardSource,
  inputs: ['y', 'norm', 'g', 'log_scale', 'dy'],
  outputs: ['dx'],
  params: { rows: 'u32', columns: 'u32', epsilon: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['y', 'norm', 'g', 'dx'] },
});

const backwardRowsKernel = defineKernel({ ...backwardKernel, ...byRow, label: 'unit-rows.backward-rows', source: backwardRowsSource });

const scalarProductKernel = defineKernel({
  label: 'scalar-product',
  source: scalarProductSource,
  inputs: ['x', 'factor'],
  outputs: ['y'],
  params: { index: 'u32' },
  workgroups: () => 1,
});

/** dX = dY·e^logScale·(g − y(y·g))/max(norm, ε): from the gradient `g` of the dots to that of the rows before normalisation. */
export function unitRowsBackward(y: Tensor, norm: Tensor, g: Tensor, logScale: Tensor, dY: Tensor, plan?: RowPlan): Tensor {
  const [rows, columns] = y.shape as [number, number];
  const dX = y.engine.empty(y.shape);
  runKernel(rowPlan(y.engine, plan) === 'row' ? backwardRowsKernel : backwardKernel, { y, norm, g, log_scale: logScale, dy: dY, dx: dX }, { rows, columns, epsilon: UNIT_EPSILON });
  return dX;
}

/** x[index] · factor[0], as [1], or as the scalar [] whose gradient it is. */
export function scalarProduct(x: Tensor, index: number, factor: Tensor, shape: Shape = [1]): Tensor {
  const y = x.engine.empty(shape);
  runKernel(scalarProductKernel, { x, factor, y }, { index });
  return y;
}

/** Float64 reference: unit rows and their reciprocal lengths. */
export function unitRowsReference(x: Float64Array, columns: number): { y: Float64Array; rnorm: Float64Array } {
  const rnorm = new Float64Array(x.length / columns);
  for (let row = 0; row < rnorm.length; row++) {
    let square = 0;
    for (let c = 0; c < columns; c++) square += x[row * columns + c]! ** 2;
    rnorm[row] = 1 / Math.max(Math.sqrt(square), UNIT_EPSILON);
  }
  return { y: x.map((value, at) => value * rnorm[Math.floor(at / columns)]!), rnorm };
}

/** Gradient of `unitRowsReference`: (dY − y(y·dY))·rnorm. */
export function unitRowsBackwardReference(y: Float64Array, rnorm: Float64Array, dY: Float64Array, columns: number): Float64Array {
  const dX = new Float64Array(y.length);
  for (let row = 0; row < rnorm.length; row++) {
    let along = 0;
    for (let c = 0; c < columns; c++) along += y[row * columns + c]! * dY[row * columns + c]!;
    for (let c = row * columns; c < (row + 1) * columns; c++) dX[c] = (dY[c]! - y[c]! * along) * rnorm[row]!;
  }
  return dX;
}
