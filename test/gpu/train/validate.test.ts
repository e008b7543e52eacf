import { describe, expect, it } from 'vitest';
import { METRICS_FILE, parseMetrics } from '../../../src/train/index.ts';
import type { DistillationRecord } from '../../../src/train/trainer.ts';
import { testEngine } from '../../support/engine.ts';
import { folder, tinyConfig, tinyRun, type TinyRun } from './tiny-run.ts';

const stages = { teacher: { steps: 2, learningRate: 1e-3 }, fast: { steps: 8, learningRate: 1e-3 } };

async function distillation({ files }: TinyRun): Promise<DistillationRecord[]> {
  return parseMetrics(await files.readFile(files.join(folder, METRICS_FILE))).filter((record) => record.kind === 'distillation');
}

describe('FAST on validation scans', () => {
  it('is measured before and after its stage, and falls', async () => {
    const run = tinyRun(await testEngine(), { config: tinyConfig({ stages }) });
    expect(await run.train()).toBe('finished');
    const [before, after, ...more] = await distillation(run);
    expect(more).toEqual([]);
    expect(before).toMatchObject({ globalStep: 2, stage: 'fast', scans: 2, quality: 75 });
    expect(after).toMatchObject({ globalStep: 10, stage: 'fast', scans: 2, quality: 75 });
    // The weights of the terms are 1 in this configuration.
    for (const { losses: { fast, ...terms } } of [before!, after!]) expect(Object.values(terms).reduce((sum, term) => sum + term, 0) / fast!).toBeCloseTo(1, 5);
    expect(after!.losses.fast).toBeLessThan(0.7 * before!.losses.fast!);
    expect(run.notes.filter((note) => note.startsWith('FAST on 2 validation scans at JPEG 75'))).toHaveLength(2);
    run.dispose();
  });

  it('is there once, and the same, where a run is resumed between the stages', async () => {
    const engine = await testEngine();
    const unbroken = tinyRun(engine, { config: tinyConfig({ stages }) });
    await unbroken.train();
    const first = tinyRun(engine, { config: tinyConfig({ stages }) });
    // Past the first measure, which no checkpoint holds yet.
    await expect(first.train(Infinity, ({ globalStep }) => {
      if (globalStep === 3) throw new Error('killed');
    })).rejects.toThrow('killed');
    first.dispose();
    const second = await first.reopened();
    expect(await second.train()).toBe('finished');
    expect(await distillation(second)).toEqual(await distillation(unbroken));
    for (const run of [unbroken, second]) run.dispose();
  });
});
