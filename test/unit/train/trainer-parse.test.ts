import { describe, expect, it } from 'vitest';
import { makeConfig } from '../../../src/train/config.ts';
import { DivergedError, globalStepOf, parseMetrics } from '../../../src/train/trainer.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const line = (globalStep: number): string => `${JSON.stringify({ kind: 'validation', globalStep, stage: 'align', meanAuroc: 0.5 })}\n`;

describe('parseMetrics', () => {
  it('reads a line a record', () => {
    expect(parseMetrics(bytes(line(1) + line(2))).map(({ globalStep }) => globalStep)).toEqual([1, 2]);
    expect(parseMetrics(bytes(''))).toEqual([]);
  });

  it('drops a last line that a kill cut short, wherever it was cut', () => {
    const last = line(2);
    for (let length = 1; length < last.length - 1; length++) expect(parseMetrics(bytes(line(1) + last.slice(0, length)))).toHaveLength(1);
    expect(parseMetrics(bytes(line(1) + last.slice(0, -1)))).toHaveLength(2);
  });

  it('drops a line cut inside a character', () => {
    const whole = bytes(`${line(1)}{"stage":"é`);
    expect(parseMetrics(whole.subarray(0, whole.length - 1))).toHaveLength(1);
  });
});

describe('globalStepOf', () => {
  it('counts the steps of the stages before', () => {
    const config = makeConfig('tiny', 0, { stages: { teacher: { steps: 4, learningRate: 1 }, align: { steps: 5, learningRate: 1 } } });
    expect(globalStepOf({ config, position: { stage: 'teacher', step: 3 } })).toBe(3);
    expect(globalStepOf({ config, position: { stage: 'align', step: 2 } })).toBe(6);
  });
});

describe('DivergedError', () => {
  it('names step, stage, term, value and the last good checkpoint', () => {
    expect(new DivergedError(7, 'fast', 'style', NaN, 'run/checkpoint.safetensors (step 5)').message).toBe(
      'train: step 7 (stage fast): style is NaN; last good checkpoint: run/checkpoint.safetensors (step 5). Go on from it with --resume and a lower --learning-rate',
    );
    expect(new DivergedError(1, 'teacher', 'loss', Infinity, null).message).toContain('last good checkpoint: none yet. Start again with a lower --learning-rate');
  });
});
