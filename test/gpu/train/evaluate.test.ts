import { expect, it } from 'vitest';
import { LABELS, UNLABELLED } from '../../../src/data/index.ts';
import { presets } from '../../../src/model/index.ts';
import { prepareStage, scoreScans, VolumeStore } from '../../../src/train/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { smallerPreset, tinyRun, tinyVolume } from './tiny-run.ts';

it('scoreScans gives each scan its own row, in whatever batches', async () => {
  const engine = await testEngine();
  const restore = smallerPreset();
  const run = tinyRun(engine);
  try {
    prepareStage(engine, run.state, 'teacher');
    const { shape } = presets.tiny.grid;
    const { scans } = run.cohort;
    scans[4]!.labels = null;
    const score = (batch: number) => {
      const done: number[] = [];
      const volumes = new VolumeStore(async (scan) => tinyVolume(scan), shape, 1e8);
      const options = { engine, model: run.state.teacher!, tokenizer: run.state.tokenizer, volumes, shape, quality: null, batch, onProgress: (count: number) => done.push(count) };
      return scoreScans(scans, options).then((scored) => ({ ...scored, done }));
    };
    const [one, four] = [await score(1), await score(4)];
    expect(four.done).toEqual([4, 6]);
    expectClose(four.scores, one.scores, 1e-4);
    const rowOf = (row: number): number[] => [...one.scores.slice(row * LABELS.length, (row + 1) * LABELS.length)];
    for (let row = 1; row < scans.length; row++) expect(rowOf(row)).not.toEqual(rowOf(0));
    scans.forEach(({ labels }, row) => {
      expect([...four.truths.slice(row * LABELS.length, (row + 1) * LABELS.length)]).toEqual(labels ? [...labels] : LABELS.map(() => UNLABELLED));
    });
  } finally {
    run.dispose();
    restore();
  }
});
