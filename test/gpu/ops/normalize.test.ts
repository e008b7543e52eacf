import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { normalizeBackwardReference, normalizeReference } from '../../../src/autograd/ops/normalize.ts';
import { permuteReference } from '../../../src/autograd/ops/permute.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

const plans = ['row', 'workgroup'] as const;

describe('normalize', () => {
  const cases = [[1, 3], [3, 65], [2, 5, 63], [300, 7], [4, 513]].flatMap((shape) => plans.map((plan) => ({ shape, plan })));
  it.each(cases)('agrees with its reference on $shape, plan $plan', async ({ shape, plan }) => {
    const columns = shape.at(-1)!;
    await expectOp({
      inputs: { x: input(shape, 1, { scale: 2 }) },
      run: ({ x }) => ops.normalize(x, { plan }),
      reference: ({ x }) => normalizeReference(x, columns),
      backward: ({ x }, dY) => ({ x: normalizeBackwardReference(x, columns, dY) }),
    });
  });

  it('normalises along an inner axis', async () => {
    const swap = (x: Float64Array, shape: number[]) => permuteReference(x, shape, [0, 2, 1]);
    await expectOp({
      inputs: { x: input([3, 5, 7], 2) },
      run: ({ x }) => ops.normalize(x, { dim: 1 }),
      reference: ({ x }) => swap(normalizeReference(swap(x, [3, 5, 7]), 5), [3, 7, 5]),
      backward: ({ x }, dY) => ({ x: swap(normalizeBackwardReference(swap(x, [3, 5, 7]), 5, swap(dY, [3, 5, 7])), [3, 7, 5]) }),
    });
  });

  it.each(plans)('divides by eps where the vector is shorter, plan %s', async (plan) => {
    await expectOp({
      inputs: { x: input([3, 9], 3, { scale: 0.01 }) },
      run: ({ x }) => ops.normalize(x, { eps: 0.5, plan }),
      reference: ({ x }) => normalizeReference(x, 9, 0.5),
      backward: ({ x }, dY) => ({ x: normalizeBackwardReference(x, 9, dY, 0.5) }),
    });
  });

  it.each(plans)('agrees with PyTorch, plan %s', async (plan) => {
    const fixtures = readOpFixtures('normalize');
    await expectFixture(fixtures['last axis']!, ({ x }) => ops.normalize(x!, { plan }));
    await expectFixture(fixtures['inner axis']!, ({ x }) => ops.normalize(x!, { dim: 1, plan }));
  });

  it('names an axis outside and an eps that cannot be', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.normalize(engine.zeros([2, 5]), { dim: 2 })).toThrow('normalize: axis 2 is outside a tensor of rank 2');
      expect(() => ops.normalize(engine.zeros([2, 5]), { eps: 0 })).toThrow('normalize: eps must be positive, got 0');
    });
  });
});
