import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Engine, Tensor } from '../../src/autograd/index.ts';
import type { FloatType } from '../../src/engine/index.ts';
import { expectClose } from './arrays.ts';
import { testEngine } from './engine.ts';

/** One case that PyTorch computed: see test/reference/elementwise.py. */
export interface OpFixture {
  inputs: Record<string, FixtureInput>;
  dY: number[];
  y: number[];
  /** The result's shape, where the script says it. */
  shape?: number[];
  /** Of the inputs that the op has a gradient of. The others get none; with none at all nothing goes backward. */
  gradients: Record<string, number[]>;
}

/** f32 unless `dtype` says otherwise. */
interface FixtureInput {
  shape: number[];
  values: number[];
  dtype?: FloatType | 'u8';
}

/** Cases of test/fixtures/ops/<stem>.json, by name; `Extra` is what the script adds to each. */
export function readOpFixtures<Extra = unknown>(stem: string): Record<string, OpFixture & Extra> {
  return JSON.parse(readFileSync(new URL(`../fixtures/ops/${stem}.json`, import.meta.url), 'utf8')) as Record<string, OpFixture & Extra>;
}

/** Runs an op on a fixture's inputs, forward and backward, and compares with what PyTorch got. */
export async function expectFixture(fixture: OpFixture, run: (tensors: Record<string, Tensor>) => Tensor): Promise<void> {
  const engine = await testEngine();
  await engine.scope(async () => {
    const tensors = Object.fromEntries(Object.entries(fixture.inputs).map(([name, input]) => [name, tensorOf(engine, input)]));
    const output = run(tensors);
    if (fixture.shape) expect(output.shape).toEqual(fixture.shape);
    expectClose(await output.toArray(), fixture.y, 1e-5, 'forward');
    const differentiated = Object.entries(fixture.gradients);
    expect(output.requiresGrad, 'has a gradient').toBe(differentiated.length > 0);
    if (differentiated.length === 0) return;
    await output.backward(engine.tensor(fixture.dY, output.shape, { dtype: output.dtype as FloatType }));
    for (const [name, gradient] of differentiated) expectClose(await tensors[name]!.grad!.toArray(), gradient, 1e-4, `gradient of ${name}`);
    for (const [name, tensor] of Object.entries(tensors)) {
      if (!(name in fixture.gradients)) expect(tensor.grad, `gradient of ${name}`).toBeNull();
      tensor.zeroGrad();
    }
  });
}

function tensorOf(engine: Engine, { shape, values, dtype = 'f32' }: FixtureInput): Tensor {
  return dtype === 'u8' ? engine.tensor(Uint8Array.from(values), shape) : engine.tensor(values, shape, { requiresGrad: true, dtype });
}
