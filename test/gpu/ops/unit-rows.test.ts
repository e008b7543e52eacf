import { describe, it } from 'vitest';
import { unitRows, unitRowsBackward, unitRowsBackwardReference, unitRowsReference, UNIT_EPSILON } from '../../../src/autograd/ops/unit-rows.ts';
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
      const { y, rnorm } = unitRows(engine.tensor(Float32Array.from(values), [rows, columns]), plan);
      expectClose(await y.toArray(), expected.y, 1e-5, 'y');
      // Of a row of length 0 it is 1e12, which would hide the others.
      const lengths = (all: ArrayLike<number>): number[] => Array.from(all, (one) => Math.min(one, 1e3));
      expectClose(lengths(await rnorm.toArray()), lengths(expected.rnorm), 1e-5, 'rnorm');
      expectClose([(await rnorm.toArray())[0]!], [rows > 1 ? 1 / UNIT_EPSILON : expected.rnorm[0]!], 1e-5, 'rnorm of the first row');

      const g = randomArray(rows * columns, 2);
      const [logScale, dY] = [0.7, -1.5];
      const dX = unitRowsBackward(y, rnorm, engine.tensor(Float32Array.from(g), [rows, columns]), engine.tensor([logScale]), engine.tensor([dY]), plan);
      const first = rows > 1 ? columns : 0;
      const expectedDX = unitRowsBackwardReference(expected.y, expected.rnorm, g, columns).map((value) => value * dY * Math.exp(logScale));
      expectClose((await dX.toArray()).slice(first), expectedDX.subarray(first), 1e-4, 'dX');
    });
  });
});
