/** What the arms of an experiment ask of a run: other inputs than JPEG, a teacher with other heads, a student beside a teacher that is not its own start. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { greyToValues } from '../../../src/data/index.ts';
import { VolumeStore, type TrainConfig } from '../../../src/train/index.ts';
import { testEngine } from '../../support/engine.ts';
import { smallerPreset, tinyConfig, tinyRun, tinyVolume } from './tiny-run.ts';

let restore: () => void;
beforeAll(() => void (restore = smallerPreset()));
afterAll(() => restore());

const alone: Partial<TrainConfig> = { stages: { align: { steps: 3, learningRate: 1e-3 } }, fastWeight: 0 };

async function losses(config: Partial<TrainConfig>, decode = tinyVolume): Promise<number[]> {
  const run = tinyRun(await testEngine(), { config: tinyConfig({ ...alone, ...config }), decode });
  expect(await run.train()).toBe('finished');
  const found = (await run.records()).map((record) => record.losses.loss!);
  run.dispose();
  return found;
}

it('a student of 8-bit input trains on the uncompressed volume in 255 steps', async () => {
  const quantised = async (scan: Parameters<typeof tinyVolume>[0]): Promise<Float32Array> => greyToValues(await new VolumeStore(async (each) => tinyVolume(each), [8, 32, 32], 1e8).grey(scan));
  const scans = new Map(await Promise.all(tinyRun(await testEngine()).cohort.scans.map(async (scan) => [scan.id, await quantised(scan)] as const)));
  const grey = await losses({ input: 'grey' });
  // The same values by another way onto the GPU.
  expect(grey).toEqual(await losses({ input: 'raw' }, ({ id }) => scans.get(id)!));
  expect(grey).not.toEqual(await losses({ input: 'raw' }));
  expect(grey).not.toEqual(await losses({ input: 'jpeg' }));
});

it('a baseline without a teacher is the align stage on uncompressed input, whatever quality the config names', async () => {
  expect(await losses({ input: 'raw', quality: 10, trainQuality: [10, 10] })).toEqual(await losses({ input: 'raw' }));
});

it('a teacher keeps dense heads beside a student with others, also through a checkpoint', async () => {
  const config = tinyConfig({ head: 'low-rank', teacherHead: 'dense', stages: { teacher: { steps: 1, learningRate: 1e-3 }, fast: { steps: 2, learningRate: 1e-3 } } });
  const run = tinyRun(await testEngine(), { config });
  expect(await run.train(2)).toBe('interrupted');
  const again = await run.reopened();
  expect([...again.state.teacher!.imageHead.namedParameters().keys()]).toEqual(['weight', 'bias']);
  expect([...again.state.student!.imageHead.namedParameters().keys()]).toEqual(['core0', 'core1', 'gamma0', 'gamma1', 'bias']);
  expect(await again.train()).toBe('finished');
  run.dispose();
  again.dispose();
});

it.each([[true, false], [false, true]])('starting from its teacher %s, a student trains its text tower at the full rate: %s', async (studentFromTeacher, full) => {
  const base = tinyConfig();
  const config = tinyConfig({ studentFromTeacher, optimizer: { ...base.optimizer, textFactor: 0 }, stages: { teacher: { steps: 1, learningRate: 1e-3 }, align: { steps: 2, learningRate: 1e-3 } } });
  const run = tinyRun(await testEngine(), { config });
  expect(await run.train(2)).toBe('interrupted');
  const again = await run.reopened();
  const table = again.state.student!.text!.namedParameters().entries().next().value![1];
  const before = [...(await table.toArray())];
  expect(await again.train()).toBe('finished');
  expect([...(await table.toArray())].some((value, at) => value !== before[at])).toBe(full);
  run.dispose();
  again.dispose();
});
