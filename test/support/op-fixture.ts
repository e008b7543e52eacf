import { readFileSync } from 'node:fs';
import type { Tensor } from '../../src/autograd/index.ts';
import { expectClose } from './arrays.ts';
import { testEngine } from './engine.ts';

/** One case that PyTorch computed: see test/reference/elementwise.py. */
export interface OpFixture {
  inputs: Record<string, { shape: number[]; values: number[] }>;
  dY: number[];
  y: number[];
  gradients: Record<string, number[]>;
}

/** Cases of test/fixtures/ops/<stem>.json, by name; `Extra` is what the script adds to each. */
export function readOpFixtures<Extra = unknown>(stem: string): Record<string, OpFixture & Extra> {
  return JSON.parse(readFileSync(new URL(`../fixtures/ops/${stem}.json`, import.meta.url), 'utf8')) as Record<string, OpFixture & Extra>;
}

/** Runs an op on a fixture's inputs, forward and backward, and compares with what PyTorch got. */
export async function expectFixture(fixture: OpFixture, run: (tensors: Record<string, Tensor>) => Tensor): Promise<void> {
  const engine = await testEngine();
  await engine.scope(async () => {
    const tensors = Object.fromEntries(Object.entries(fixture.inputs).map(([name, { values, shape }]) => [name, engine.tensor(values, shape, { requiresGrad: true })]));
    const output = run(tensors);
    expectClose(await output.toArray(), fixture.y, 1e-5, 'forward');
    await output.backward(engine.tensor(fixture.dY, output.shape));
    for (const [name, gradient] of Object.entries(fixture.gradients)) {
      expectClose(await tensors[name]!.grad!.toArray(), gradient, 1e-4, `gradient of ${name}`);
      tensors[name]!.zeroGrad();
    }
  });
}
