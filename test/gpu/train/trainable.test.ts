import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import { TRAINABLE_PARTS, type TrainablePart } from '../../../src/train/index.ts';
import { testEngine } from '../../support/engine.ts';
import { tinyConfig, tinyRun } from './tiny-run.ts';

describe('what a run trains', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await testEngine();
  });

  /** Names of the student's parameters that three steps of the align stage change. */
  async function changed(trainable: TrainablePart): Promise<string[]> {
    const run = tinyRun(engine, { config: tinyConfig({ trainable, stages: { align: { steps: 3, learningRate: 1e-3 } } }) });
    await run.train(1);
    const values = async (): Promise<Map<string, string>> => {
      const named = [...run.state.student!.namedParameters()];
      return new Map(await Promise.all(named.map(async ([name, tensor]) => [name, String(await tensor.toArray())] as const)));
    };
    const before = await values();
    await run.train(1);
    const after = await values();
    run.dispose();
    return [...after].filter(([name, text]) => before.get(name) !== text).map(([name]) => name);
  }

  it.each(TRAINABLE_PARTS)('is its part "%s" and nothing else', async (part) => {
    const names = await changed(part);
    const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
    expect(has(/^imageHead\./) && has(/^textHead\./) && has(/^logScale$/)).toBe(true);
    expect(has(/^vision\.temporal\.|^vision\.pool\./)).toBe(part !== 'heads');
    expect(has(/^text\.layers\.1\./)).toBe(part !== 'heads');
    expect(has(/^vision\.stem1\.|^text\.layers\.0\.|^text\.wordEmbeddings/)).toBe(part === 'all');
  });

  it('cannot be the heads alone where a stage trains the encoder alone', async () => {
    const run = tinyRun(engine, { config: tinyConfig({ trainable: 'heads', stages: { teacher: { steps: 1, learningRate: 1e-3 }, fast: { steps: 1, learningRate: 1e-3 } } }) });
    await expect(run.train()).rejects.toThrow('train: stage "fast" trains the encoder alone, but trainable is "heads"');
    run.dispose();
  });
});
