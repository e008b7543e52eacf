import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import { testEngine } from '../../support/engine.ts';
import { tinyConfig, tinyRun } from './tiny-run.ts';

/** AdamW turns rounding in small gradients into steps of full size: only parameters that stay where they are can be compared. */
const still = 1e-12;

/** Losses and gradient norms of a run over all three stages, four volumes a step. */
async function steps(engine: Engine, batch: number): Promise<{ stage: string; losses: Record<string, number>; gradientNorm: number }[]> {
  const stages = { teacher: { steps: 1, learningRate: still }, fast: { steps: 1, learningRate: still }, align: { steps: 1, learningRate: still } };
  const run = tinyRun(engine, { config: tinyConfig({ batch, virtualBatch: 4, stages }) });
  expect(await run.train()).toBe('finished');
  const records = await run.records();
  run.dispose();
  return records.map(({ stage, losses, gradientNorm }) => ({ stage, losses, gradientNorm: gradientNorm! }));
}

describe('a virtual batch of four volumes', () => {
  it.each([1, 3])('in parts of %i has the losses and gradients of the whole, and leaves no buffers behind', async (batch) => {
    const engine = await testEngine();
    const whole = await steps(engine, 4);
    const { liveBuffers } = engine.memory;
    const parts = await steps(engine, batch);
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(liveBuffers);
    expect(parts.map(({ stage }) => stage)).toEqual(['teacher', 'fast', 'align']);
    parts.forEach(({ losses, gradientNorm }, at) => {
      const expected = whole[at]!;
      expect(Object.keys(losses)).toEqual(Object.keys(expected.losses));
      for (const [name, value] of Object.entries(losses)) expect(value / expected.losses[name]!, `${name} of step ${at + 1}`).toBeCloseTo(1, 5);
      expect(gradientNorm / expected.gradientNorm, `gradient norm of step ${at + 1}`).toBeCloseTo(1, 4);
    });
  });
});
