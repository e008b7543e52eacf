import { describe, expect, it } from 'vitest';
import type { StepResult } from '../../../src/train/steps.ts';
import { StepsInFlight, type StepInFlight } from '../../../src/train/steps-in-flight.ts';

/** A step whose values come when told. */
function stepOf(globalStep: number): { step: StepInFlight; done: () => void; fails: (error: Error) => void } {
  let [resolve, reject] = [(_: StepResult): void => {}, (_: Error): void => {}];
  const values = new Promise<StepResult>((...settlers) => ([resolve, reject] = settlers));
  values.catch(() => {});
  return {
    step: { values, globalStep, stage: 'teacher', step: globalStep, batch: 1, started: 0 },
    done: () => resolve({ losses: { loss: globalStep }, gradientNorm: 1, learningRate: 1 }),
    fails: reject,
  };
}

const settled = async (work: Promise<unknown>): Promise<boolean> => {
  let is = false;
  const mark = (): void => void (is = true);
  work.then(mark, mark);
  await new Promise((resolve) => setTimeout(resolve));
  return is;
};

describe('StepsInFlight', () => {
  it('holds one step back, and settles each in its order and once', async () => {
    const losses: number[] = [];
    const inFlight = new StepsInFlight(async ({ values }) => void losses.push((await values).losses.loss!));
    const [first, second, third] = [stepOf(1), stepOf(2), stepOf(3)];
    await inFlight.add(first.step);
    expect(losses).toEqual([]);
    const adding = inFlight.add(second.step);
    second.done(); // before the first
    expect(await settled(adding)).toBe(false);
    first.done();
    await adding;
    expect(losses).toEqual([1]);
    await inFlight.settleAll();
    await inFlight.settleAll();
    expect(losses).toEqual([1, 2]);
    third.done();
    await inFlight.add(third.step);
    expect(losses).toEqual([1, 2]);
    await inFlight.settleAll();
    expect(losses).toEqual([1, 2, 3]);
  });

  it('where a step fails, waits for the one after it and never settles that', async () => {
    const asked: number[] = [];
    const inFlight = new StepsInFlight(async ({ values, globalStep }) => {
      asked.push(globalStep);
      await values;
    });
    const [first, second] = [stepOf(1), stepOf(2)];
    await inFlight.add(first.step);
    const adding = inFlight.add(second.step);
    first.fails(new Error('no'));
    expect(await settled(adding)).toBe(false);
    second.fails(new Error('nor this'));
    await expect(adding).rejects.toThrow('no');
    await inFlight.settleAll();
    expect(asked).toEqual([1]);
  });
});
