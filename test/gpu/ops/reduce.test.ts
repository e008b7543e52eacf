import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { sumBackwardReference, sumReference } from '../../../src/autograd/ops/reduce.ts';
import { product } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const cases: [number[], number | number[] | undefined][] = [
  [[1], undefined],
  [[], undefined],
  [[3, 65], -1],
  [[65, 3], 1],
  [[63, 65], 0],
  [[63, 65], undefined],
  [[3, 65, 7], 1],
  [[3, 65, 7], [0, 2]],
  [[3, 5, 63], [1, 2]],
  [[3, 5, 63], [0, 1]],
  [[2, 3, 2, 5, 3], [0, 2, 4]],
  [[2, 1, 65], [0, 1]],
  [[3, 1, 65], 1],
  [[2, 9000], -1], // more than one chunk a row
  [[3, 700, 5], 1], // more than one chunk of the middle axis
  [[70000, 2], 0],
  [[20000], undefined],
];

describe.each(['sum', 'mean'] as const)('%s', (name) => {
  it.each(cases)('agrees with its reference on %j over %j', async (shape, dim) => {
    const axes = (dim === undefined ? shape.map((_, axis) => axis) : [dim].flat()).map((axis) => (axis < 0 ? axis + shape.length : axis));
    const scale = name === 'mean' ? 1 / product(axes.map((axis) => shape[axis]!)) : 1;
    for (const keepdim of [false, true]) {
      await expectOp({
        inputs: { x: input(shape, 1, { shift: 0.5 }) },
        run: ({ x }) => {
          const y = ops[name](x, { ...(dim === undefined ? {} : { dim }), keepdim });
          expect(y.shape).toEqual(keepdim ? shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent)) : shape.filter((_, axis) => !axes.includes(axis)));
          return y;
        },
        reference: ({ x }) => sumReference(x, shape, axes).map((v) => v * scale),
        backward: (_, dY) => ({ x: sumBackwardReference(shape, axes, dY).map((g) => g * scale) }),
      });
    }
  });

  it('names an axis outside, or twice', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops[name](engine.zeros([2, 3]), { dim: 2 })).toThrow(`${name}: axis 2 is outside a tensor of rank 2`);
      expect(() => ops[name](engine.zeros([2, 3]), { dim: [1, -1] })).toThrow(`${name}: dim names an axis twice: [1, -1]`);
    });
  });
});

it('gives the same bits twice', async () => {
  const engine = await testEngine();
  await engine.scope(async () => {
    const x = engine.tensor(Float32Array.from(input([33, 1025], 9).values), [33, 1025]);
    expect(await ops.sum(x).toArray()).toEqual(await ops.sum(x).toArray());
  });
});
