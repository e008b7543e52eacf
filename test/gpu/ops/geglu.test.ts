import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { gegluBackwardReference, gegluReference } from '../../../src/autograd/ops/geglu.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('geglu', () => {
  it.each([[[2]], [[3, 126]], [[2, 5, 130]], [[65, 6]]])('agrees with its reference on %j', async (shape) => {
    const columns = shape.at(-1)! / 2;
    await expectOp({
      inputs: { x: input(shape, 1, { scale: 3 }) },
      run: ({ x }) => ops.geglu(x),
      reference: ({ x }) => gegluReference(x, columns),
      backward: ({ x }, dY) => ({ x: gegluBackwardReference(x, columns, dY) }),
    });
  });

  it('agrees with PyTorch', () => expectFixture(readOpFixtures('geglu')['geglu']!, ({ x }) => ops.geglu(x!)));

  it('names an axis without two halves', async () => {
    const engine = await testEngine();
    engine.scope(() => expect(() => ops.geglu(engine.zeros([2, 5]))).toThrow('geglu: the last axis holds two halves, got [2, 5]'));
  });
});
