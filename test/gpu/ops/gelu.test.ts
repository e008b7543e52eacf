import { describe, expect, it } from 'vitest';
import erfSource from '../../../kernels/include/erf.wgsl';
import { ops } from '../../../src/autograd/index.ts';
import { runKernel } from '../../../src/autograd/op.ts';
import { erfcReference, geluDerivativeReference, geluReference } from '../../../src/autograd/ops/gelu.ts';
import { defineKernel } from '../../../src/engine/index.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

const erfKernel = defineKernel({
  label: 'test.erf',
  source: `${erfSource}
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&x)) { y[id.x] = erf(x[id.x]); }
    }`,
  inputs: ['x'],
  outputs: ['y'],
  workgroups: () => 4,
});

it('include/erf.wgsl: erf agrees with its reference', async () => {
  const engine = await testEngine();
  await engine.scope(async () => {
    const points = Float32Array.from({ length: 241 }, (_, i) => (i - 120) / 20);
    const x = engine.tensor(points);
    const y = engine.empty([241]);
    runKernel(erfKernel, { x, y });
    (await y.toArray()).forEach((value, i) => {
      const expected = 1 - erfcReference(points[i]!);
      expect(Math.abs(value - expected), `erf(${points[i]}) = ${value}, expected ${expected}`).toBeLessThanOrEqual(5e-7 * Math.abs(expected));
    });
  });
});

describe('gelu', () => {
  it.each([[[1]], [[3]], [[63, 65]], [[2, 3, 65]]])('agrees with its reference on %j', async (shape) => {
    await expectOp({
      inputs: { x: input(shape, 1, { scale: 4 }) },
      run: ({ x }) => ops.gelu(x),
      reference: ({ x }) => x.map(geluReference),
      backward: ({ x }, dY) => ({ x: x.map((v, i) => geluDerivativeReference(v) * dY[i]!) }),
    });
  });

  it('agrees with PyTorch', () => expectFixture(readOpFixtures('gelu')['gelu']!, ({ x }) => ops.gelu(x!)));

  it('keeps its relative precision in both tails', async () => {
    const engine = await testEngine();
    // Further left the value is no normal f32 and may be flushed to 0.
    const points = Float32Array.from({ length: 511 }, (_, i) => -12.5 + i / 20);
    await engine.scope(async () => {
      const x = engine.tensor(points, [points.length], { requiresGrad: true });
      const output = ops.gelu(x);
      const y = await output.toArray();
      await output.backward(engine.full([points.length], 1));
      const dX = await x.grad!.toArray();
      points.forEach((point, i) => {
        const expected = geluReference(point);
        expect(Math.abs(y[i]! - expected), `gelu(${point}) = ${y[i]}, expected ${expected}`).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
        // The derivative crosses zero at -0.75: there relative to the two terms that cancel, of size 0.23.
        const slope = geluDerivativeReference(point);
        const scale = Math.abs(point + 0.75) < 0.5 ? 0.23 : Math.abs(slope);
        expect(Math.abs(dX[i]! - slope), `gelu'(${point}) = ${dX[i]}, expected ${slope}`).toBeLessThanOrEqual(1e-6 * scale);
      });
      x.zeroGrad();
    });
  });

  it('is 0 far to the left and the identity far to the right', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      expect([...(await ops.gelu(engine.tensor([-14, -1e30, 14, 1e30])).toArray())]).toEqual([0, 0, 14, Math.fround(1e30)]);
    });
  });
});
