import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { unaryDerivativeReference, unaryReference, type UnaryFunction } from '../../../src/autograd/ops/unary.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const domains: Record<UnaryFunction, { scale: number; shift: number }> = {
  exp: { scale: 3, shift: 0 },
  log: { scale: 2, shift: 2.25 },
  sqrt: { scale: 2, shift: 2.25 },
  square: { scale: 2, shift: 0 },
  abs: { scale: 2, shift: 0 },
  sigmoid: { scale: 8, shift: 0 },
  softplus: { scale: 12, shift: 0 },
};

describe.each(Object.keys(domains) as UnaryFunction[])('%s', (name) => {
  it.each([[[1]], [[3]], [[63, 65]], [[2, 3, 65]]])('agrees with its reference on %j', async (shape) => {
    await expectOp({
      inputs: { x: input(shape, 1, domains[name]) },
      run: ({ x }) => ops[name](x),
      reference: ({ x }) => x.map(unaryReference[name]),
      backward: ({ x }, dY) => ({ x: x.map((v, i) => unaryDerivativeReference[name](v) * dY[i]!) }),
    });
  });

  it('refuses indices', async () => {
    const engine = await testEngine();
    engine.scope(() => expect(() => ops[name](engine.tensor(new Uint32Array(3)))).toThrow(`${name}: x must be f32, got u32`));
  });
});

describe('far from zero', () => {
  const points = [-80, -30, -17, -10, -4, 0, 4, 17, 100, 3e38];

  it.each(['softplus', 'sigmoid'] as const)('%s keeps its relative precision and does not overflow', async (name) => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const y = await ops[name](engine.tensor(points)).toArray();
      points.forEach((x, i) => {
        const expected = unaryReference[name](x);
        // f32 exp may be off by 3 + 2|x| ulp (WGSL's accuracy table): 1e-5 at -80.
        expect(Math.abs(y[i]! / expected - 1), `${name}(${x}) = ${y[i]}`).toBeLessThan(2e-5);
      });
    });
  });
});

it('neg changes the sign', async () => {
  await expectOp({
    inputs: { x: input([65], 2) },
    run: ({ x }) => ops.neg(x),
    reference: ({ x }) => x.map((v) => -v),
    backward: (_, dY) => ({ x: dY.map((g) => -g) }),
  });
});
