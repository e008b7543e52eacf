import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Tensor } from '../../../src/autograd/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

interface Fixture {
  imageIds: string[];
  textIds: string[];
  inputs: Record<string, { shape: number[]; values: number[] }>;
  loss: number;
  gradients: Record<string, number[]>;
}

/** Compares a contrastive loss and its gradients with what PyTorch gave (test/reference/contrastive-loss.py). */
export async function expectContrastiveFixture(stem: string, loss: (tensors: Record<string, Tensor>, fixture: Fixture) => Tensor): Promise<void> {
  const fixture = JSON.parse(readFileSync(new URL(`../../fixtures/ops/${stem}.json`, import.meta.url), 'utf8')) as Fixture;
  const engine = await testEngine();
  await engine.scope(async () => {
    const tensors = Object.fromEntries(Object.entries(fixture.inputs).map(([name, { shape, values }]) => [name, engine.tensor(values, shape, { requiresGrad: true })]));
    const output = loss(tensors, fixture);
    expectClose(await output.toArray(), [fixture.loss], 1e-5, 'loss');
    await output.backward();
    expect(Object.keys(fixture.gradients).length).toBeGreaterThanOrEqual(3);
    for (const [name, gradient] of Object.entries(fixture.gradients)) {
      expectClose(await tensors[name]!.grad!.toArray(), gradient, 1e-4, `gradient of ${name}`);
      tensors[name]!.zeroGrad();
    }
  });
}
