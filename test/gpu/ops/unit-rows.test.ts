import { describe, it } from 'vitest';
import { unitRows, UNIT_EPSILON } from '../../../src/autograd/ops/normalize.ts';
import { unitRowsBackward, unitRowsBackwardReference, unitRowsReference } from '../../../src/autograd/ops/unit-rows.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

// The contrastive losses test unitRows as they use it: here both plans, of which an adapter takes one.
describe.each(['row', 'workgroup'] as const)('unitRows, plan %s', (plan) => {
  it.each([[1, 3], [3, 65], [65, 3], [4, 513], [300, 7]])('agrees with its reference on [%i, %i]', async (rows, columns) => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const values = randomArray(rows * columns, 1, { scale: 2 });
      values.fill(0, 0, rows > 1 ? columns : 0); // a row of length 0 is divided by UNIT_EPSILON
      const expected = unitRowsReference(values, columns);
      const { y, norm } = unitRows(engine.tensor(Float32Array.from(values), [rows, columns]), UNIT_EPSILON, plan);
      expectClose(await y.toArray(), expected.y, 1e-5, 'y');
      expectClose(await norm.toArray(), expected.rnorm.map((rnorm, row) => (rows > 1 && row === 0 ? 0 : 1 / rnorm)), 1e-5, 'norm');

      const g = randomArray(rows * columns, 2);
      const [logScale, dY] = [0.7, -1.5];
      const dX = unitRowsBackward(y, norm, engine.tensor(Float32Array.from(g), [rows, columns]), engine.tensor([logScale]), engine.tensor([dY]), plan);
      const first = rows > 1 ? columns : 0;
      const expectedDX = unitRowsBackwardReference(expected.y, expected.rnorm, g, columns).map((value) => value * dY * Math.exp(logScale));
      expectClose((await dX.toArray()).slice(first), expectedDX.subarray(first), 1e-4, 'dX');
    });
  });
});
