/** Tuned runs: that a resumed one computes the bits of the unbroken one, and what is said where it cannot. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import type { TuningStore } from '../../../src/engine/index.ts';
import { PLANS_FILE } from '../../../src/train/run-plans.ts';
import type { StepRecord } from '../../../src/train/index.ts';
import { openTestEngine } from '../../support/engine.ts';
import { folder, smallerPreset, tinyConfig, tinyRun, type TinyRun } from './tiny-run.ts';

const losses = async (run: TinyRun): Promise<object[]> => (await run.records()).map(({ globalStep, losses: values, gradientNorm }: StepRecord) => ({ globalStep, values, gradientNorm }));
const plansOf = async (run: TinyRun): Promise<{ adapter: string; kernels: string; stages: { stage: string; afterStep: number; plans: Record<string, string> }[] }> =>
  JSON.parse(new TextDecoder().decode(await run.files.readFile(`${folder}/${PLANS_FILE}`)));
const write = (run: TinyRun, value: unknown): Promise<void> => run.files.writeFile(`${folder}/${PLANS_FILE}`, new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)));

/** Says of every decision that the slowest plan is the fastest: other plans than the fixed ones then run, on every adapter. */
function contrary(engine: Engine): TuningStore {
  return {
    read: async () => {
      const { tuningIdentity } = await import('../../../src/autograd/index.ts');
      const plans = Object.fromEntries(engine.plans.undecided.map(({ key, decision }) => [key, decision.plans.at(-1)!]));
      return JSON.stringify({ format: 'ct-lite-plans', version: 1, ...tuningIdentity(engine.device), plans });
    },
    write: async () => {},
  };
}

describe('a tuned run', () => {
  let engine: Engine;
  let restore: () => void;
  let unbroken: TinyRun;
  beforeAll(async () => {
    restore = smallerPreset();
    engine = await openTestEngine();
    unbroken = tinyRun(engine, { config: tinyConfig({ checkpointEvery: 2 }), tuning: { store: contrary(engine) } });
    await unbroken.train(Infinity, ({ globalStep }) => unbroken.notes.push(`step ${globalStep}`));
  }, 240_000);
  afterAll(() => {
    unbroken?.dispose();
    engine?.destroy();
    restore?.();
  });

  it('tunes after the first step of each stage and writes down what then holds', async () => {
    const { stages } = await plansOf(unbroken);
    expect(stages.map(({ stage, afterStep }) => [stage, afterStep])).toEqual([['teacher', 1], ['fast', 1], ['align', 1]]);
    expect(Object.keys(stages[0]!.plans).length).toBeGreaterThan(10);
    expect(unbroken.notes.filter((note) => /^tuned \d+ kernel plans in .* s: \d+ other than the fixed ones$/.test(note))).toHaveLength(3);
    // The tuner has the device to itself: the step before it has been read.
    for (const step of [1, 4, 7]) expect(unbroken.notes[unbroken.notes.indexOf(`step ${step}`) + 1]).toMatch(/^tuned/);
    expect(engine.plans.isNoting).toBe(false);
  });

  it('has other bits than a fixed one after that step, and the same before', async () => {
    engine.plans.reset();
    const fixed = tinyRun(engine, { config: tinyConfig({ checkpointEvery: 2 }) });
    await fixed.train();
    const [ours, theirs] = [await losses(unbroken), await losses(fixed)];
    fixed.dispose();
    expect(ours[0]).toEqual(theirs[0]);
    expect(ours.slice(1)).not.toEqual(theirs.slice(1));
    expect(await fixed.files.exists(`${folder}/${PLANS_FILE}`)).toBe(false);
  });

  // Broken off before and after the step that is tuned, in the first stage and in a later one; a tuner asked again would decide otherwise.
  it.each([1, 2, 4, 5, 8])('resumed after %i steps computes the losses of the unbroken one', async (steps) => {
    let run = tinyRun(engine, { config: tinyConfig({ checkpointEvery: 2 }), tuning: { store: contrary(engine) } });
    expect(await run.train(steps)).toBe('interrupted');
    run.dispose();
    engine.plans.reset();
    run = await run.reopened();
    expect(await run.train()).toBe('finished');
    run.dispose();
    expect(await losses(run)).toEqual(await losses(unbroken));
  });

  it('killed after a stage was tuned and before its next checkpoint takes the plans that it had found, not what the tuner finds now', async () => {
    const tuning = { store: contrary(engine) };
    const first = tinyRun(engine, { config: tinyConfig({ checkpointEvery: 3 }), tuning });
    await first.train(3); // the checkpoint at the end of the stage
    const found = await plansOf(unbroken);
    await write(first, found); // the later stages had been tuned when it was killed
    first.dispose();
    tuning.store = { read: () => Promise.resolve(null), write: () => Promise.resolve() }; // it would measure, and find the fixed ones
    const resumed = await first.reopened();
    await resumed.train();
    resumed.dispose();
    expect(await losses(resumed)).toEqual(await losses(unbroken));
    expect(await plansOf(resumed)).toEqual(found);
  });

  it.each([
    ['another adapter', { adapter: 'a GPU' }, /^the run was tuned on another adapter \(a GPU\): it is tuned again here/],
    ['other kernels', { kernels: '0' }, /^the run was tuned with other kernels: it is tuned again here/],
  ])('of %s is tuned again, and says so', async (_, change, note) => {
    const run = tinyRun(engine, { tuning: { store: contrary(engine) } });
    await run.train(3);
    run.dispose();
    const before = await plansOf(run);
    await write(run, { ...before, ...change });
    const resumed = await run.reopened();
    await resumed.train(2);
    resumed.dispose();
    expect(resumed.notes[0]).toMatch(note);
    const after = await plansOf(resumed);
    expect([after.adapter, after.kernels]).toEqual([before.adapter, before.kernels]);
    expect(after.stages.map(({ stage }) => stage)).toEqual(['fast']);
  });

  it('with a damaged record is tuned again, and says so', async () => {
    const run = tinyRun(engine, { tuning: { store: contrary(engine) } });
    await run.train(3);
    run.dispose();
    await write(run, '{"format": "ct-lite-run-pl');
    const resumed = await run.reopened();
    expect(await resumed.train(1)).toBe('interrupted');
    resumed.dispose();
    expect(resumed.notes[0]).toMatch(/^run\/plans\.json: cannot be read: .*; the run is tuned again/);
  });
});
