import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { armConfig, armOf, ARM_NAMES, teacherArm } from '../../../../src/train/experiment/arms.ts';
import { planRuns } from '../../../../src/train/experiment/collect.ts';
import { configDifferences, parseExperiment } from '../../../../src/train/experiment/experiment-config.ts';

const given = { name: 'a', arms: ['baseline', 'jpeg', 'ct-lite', 'jpeg@10'], cohort: { seed: 1, patients: 20, testPatients: 10 }, train: { steps: 100, fastSteps: 20 } };
const parse = (changes: object = {}): ReturnType<typeof parseExperiment> => parseExperiment(JSON.stringify({ ...given, ...changes }), 'x.json');

describe('parseExperiment', () => {
  it('fills in the defaults', () => {
    expect(parse()).toMatchObject({ preset: 'tiny', seeds: [0, 1, 2], quality: 75, resamples: 1000, cohort: { prevalenceFloor: 0.12, severity: 0, resolution: 'small' }, train: { steps: 100, batch: 8, fastWeight: 0.5 } });
    expect(parse()).not.toHaveProperty('train.virtualBatch');
  });

  it.each([
    [{ seeds: [] }, '"seeds" must be a list of at least one'], [{ seeds: [1, 1] }, '"seeds" names one twice'], [{ quality: 101 }, '"quality" must be a whole number from 1 to 100, got 101'],
    [{ steps: 5 }, 'there is no key "steps"'], [{ name: '../x' }, 'becomes a file\'s name'], [{ arms: ['jpeg'] }, '"arms" must have "baseline"'], [{ arms: ['baseline', 'fast'] }, 'there is no arm "fast"; take one of baseline, teacher, jpeg'],
    [{ train: { steps: 20, fastSteps: 20 } }, '"train.fastSteps" must be below "train.steps", got 20 of 20'], [{ train: { fastSteps: 1 } }, '"train.steps" is missing'], [{ train: { ...given.train, lr: 1 } }, 'there is no key "train.lr"'],
    [{ train: { ...given.train, learningRate: 0 } }, '"train.learningRate" must be a number above 0, got 0'], [{ cohort: { seed: 1 } }, '"cohort.patients" is missing'], [{ cohort: { data: 'x', seed: 1 } }, 'there is no key "cohort.seed"'],
    [{ cohort: { ...given.cohort, severity: 2 } }, '"cohort.severity" must be a number from 0 to 1'], [{ arms: ['baseline', 'jpeg@75'] }, '75 is the experiment\'s quality; write "jpeg"'], [{ arms: ['baseline', 'grey@10'] }, 'grey reads no JPEG'],
    [{ arms: ['baseline', 'teacher'] }, 'arm "teacher" and "train.teacherSteps" belong together'], [{ train: { ...given.train, teacherSteps: 200 } }, 'belong together'],
    [{ arms: ['baseline', 'jpeg@0'] }, 'must be a whole number from 1 to 100'], [{ preset: 'huge' }, '"preset" must be one of tiny, tiny-fine, small, base'],
  ])('refuses %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(/^x\.json: /);
    expect(() => parse(changes)).toThrow(message);
  });

  it('refuses what is no JSON object', () => {
    expect(() => parseExperiment('{', 'x.json')).toThrow(/^x\.json: must hold JSON/);
    expect(() => parseExperiment('[1]', 'x.json')).toThrow('x.json: the file must be an object');
  });

  it('reads the configs that come along', () => {
    const folder = new URL('../../../../experiments/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    expect(files).toEqual(expect.arrayContaining(['fine.json', 'phantom.json', 'quick.json', 'small-gpu.json']));
    for (const name of files) expect(parseExperiment(readFileSync(new URL(name, folder), 'utf8'), name).name, name).toBe(name.replace('.json', ''));
  });
});

it('configDifferences names each key with both values', () => {
  const before = parse();
  expect(configDifferences(before, parse())).toEqual([]);
  expect(configDifferences(before, parse({ quality: 50, train: { ...given.train, steps: 101 } }))).toEqual(['quality: 75 → 50', 'train.steps: 100 → 101']);
});

describe('arms', () => {
  const config = parse();

  it('differ from the baseline in what they are named for alone', () => {
    const settings = (id: string): ReturnType<typeof armConfig> => armConfig(armOf(id, 75), 3, config);
    const { input, head, stages, ...baseline } = settings('baseline');
    expect({ input, head, stages }).toEqual({ input: 'raw', head: 'dense', stages: { align: { steps: 100, learningRate: 1.2e-3 } } });
    expect(settings('jpeg')).toEqual({ ...baseline, stages, head, input: 'jpeg', quality: 75, trainQuality: [75, 75] });
    expect(settings('jpeg@10')).toEqual({ ...settings('jpeg'), quality: 10, trainQuality: [10, 10] });
    expect(settings('grey')).toEqual({ ...baseline, stages, head, input: 'grey' });
    expect(settings('jpeg-sfp')).toEqual({ ...settings('jpeg'), head: 'sfp' });
    expect(settings('ct-lite')).toEqual({
      ...settings('jpeg-sfp'), teacherHead: 'dense', fastWeight: 0.5, fast: { style: 1, position: 1, channel: 1, feature: 1 },
      stages: { fast: { steps: 20, learningRate: 1.2e-3 }, align: { steps: 80, learningRate: 1.2e-3 } },
    });
    expect(settings('no-style')).toEqual({ ...settings('ct-lite'), fast: { style: 0, position: 1, channel: 1, feature: 1 } });
    const heavy = { ...config, train: { ...config.train, fastWeight: 100 } };
    expect(armConfig(armOf('light-fast', 75), 3, heavy)).toEqual(settings('ct-lite'));
    expect(armConfig(armOf('ct-lite', 75), 3, heavy).fastWeight).toBe(100);
    expect(settings('gatys')).toEqual({ ...settings('ct-lite'), fastStyle: 'gatys' });
    expect(settings('low-rank')).toEqual({ ...settings('ct-lite'), head: 'low-rank' });
  });

  it('all start from their own weights, with as many steps', () => {
    const taught = { ...config, train: { ...config.train, teacherSteps: 250 } };
    for (const name of ARM_NAMES) {
      const { studentFromTeacher, stages, seed } = armConfig(armOf(name, 75), 3, taught);
      expect([name, studentFromTeacher, seed, Object.values(stages).reduce((sum, { steps }) => sum + steps, 0)]).toEqual([name, false, 3, name === 'teacher' ? 250 : 100]);
    }
  });

  it('are planned core first, seed by seed, the baseline before those that learn from it', () => {
    const runs = planRuns({ ...config, seeds: [4, 5], arms: ['no-style', 'jpeg', 'baseline', 'jpeg@10'] });
    expect(runs.map(({ arm, seed }) => `${arm.id} ${seed}`)).toEqual(['baseline 4', 'jpeg 4', 'baseline 5', 'jpeg 5', 'no-style 4', 'no-style 5', 'jpeg@10 4', 'jpeg@10 5']);
    expect(planRuns({ ...config, seeds: [4], arms: ['jpeg', 'teacher', 'baseline'] }).map(({ arm }) => arm.id)).toEqual(['baseline', 'teacher', 'jpeg']);
  });

  it('with FAST learn from the teacher where there is one, else from the baseline', () => {
    expect(teacherArm(config)).toBe('baseline');
    expect(teacherArm({ ...config, arms: ['baseline', 'teacher', 'ct-lite'] })).toBe('teacher');
  });
});
