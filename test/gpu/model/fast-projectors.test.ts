import { expect, it } from 'vitest';
import { FastProjectors } from '../../../src/model/index.ts';
import { testEngine } from '../../support/engine.ts';

it('FastProjectors start as the identity where that is asked for and possible, else at random', async () => {
  const engine = await testEngine();
  const weightOf = async (teacherWidth: number, identity: boolean): Promise<number[]> => {
    const projectors = new FastProjectors(engine, 3, teacherWidth, 1, identity);
    const values = [...(await projectors.taps[1]!.weight.toArray())];
    projectors.dispose();
    return values;
  };
  const eye = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  expect(await weightOf(3, true)).toEqual(eye);
  expect(await weightOf(3, false)).not.toEqual(eye);
  expect((await weightOf(4, true)).every((value) => value !== 0)).toBe(true);
});
