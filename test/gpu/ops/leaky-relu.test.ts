import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { leakyReluDerivativeReference, leakyReluReference } from '../../../src/autograd/ops/leaky-relu.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

describe('leakyRelu', () => {
  it.each([
    [[1], 0.01],
    [[63, 65], 0.1],
    [[2, 3, 65], 0],
  ] as [number[], number][])('agrees with its reference on %j with slope %f', async (shape, slope) => {
    await expectOp({
      inputs: { x: input(shape, 1) },
      run: ({ x }) => ops.leakyRelu(x, { slope }),
      reference: ({ x }) => x.map((v) => leakyReluReference(v, slope)),
      backward: ({ x }, dY) => ({ x: x.map((v, i) => leakyReluDerivativeReference(v, slope) * dY[i]!) }),
    });
  });

  it('agrees with PyTorch, at 0 too', () => expectFixture(readOpFixtures('leaky-relu')['slope 0.1']!, ({ x }) => ops.leakyRelu(x!, { slope: 0.1 })));

  it('refuses indices', async () => {
    const engine = await testEngine();
    engine.scope(() => expect(() => ops.leakyRelu(engine.tensor(new Uint32Array(3)))).toThrow('leakyRelu: x must be f32, got u32'));
  });
});
