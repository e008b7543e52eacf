import { describe, expect, it } from 'vitest';
import { makeConfig, shareSteps, STAGES, totalSteps } from '../../../src/train/config.ts';

const stages = { teacher: { steps: 60, learningRate: 1 }, fast: { steps: 15, learningRate: 2 }, align: { steps: 25, learningRate: 3 } };
const steps = (total: number, of: Parameters<typeof shareSteps>[0] = stages): number[] => Object.values(shareSteps(of, total)).map((stage) => stage.steps);

describe('shareSteps', () => {
  it('keeps the proportion', () => {
    expect(steps(100)).toEqual([60, 15, 25]);
    expect(steps(20)).toEqual([12, 3, 5]);
  });

  it('gives every stage a step and the sum exactly, for every total', () => {
    for (let total = 3; total <= 250; total++) {
      const shared = steps(total);
      expect(Math.min(...shared)).toBeGreaterThanOrEqual(1);
      expect(shared.reduce((a, b) => a + b)).toBe(total);
    }
    expect(steps(3)).toEqual([1, 1, 1]);
  });

  it('keeps the learning rates, the order and the given stages alone', () => {
    expect(shareSteps({ align: stages.align }, 7)).toEqual({ align: { steps: 7, learningRate: 3 } });
    expect(Object.keys(shareSteps(stages, 9))).toEqual([...STAGES]);
    expect(stages.teacher.steps).toBe(60);
  });

  it('says where there are fewer steps than stages', () => {
    expect(() => shareSteps(stages, 2)).toThrow('2 steps are fewer than the 3 stages; give at least one step a stage, or one --stage');
  });
});

describe('makeConfig', () => {
  it('gives each caller settings of its own', () => {
    const first = makeConfig('tiny', 1);
    first.stages.teacher!.steps = 1;
    first.text.unit = 'report';
    expect(makeConfig('tiny', 1).stages.teacher!.steps).not.toBe(1);
    expect(makeConfig('tiny', 1).text.unit).toBe('sentence');
  });

  it('puts changes on top, and counts the steps of all stages', () => {
    const config = makeConfig('small', 3, { batch: 7, stages: { fast: { steps: 5, learningRate: 1 } } });
    expect(config).toMatchObject({ preset: 'small', seed: 3, batch: 7 });
    expect(totalSteps(config)).toBe(5);
  });
});
