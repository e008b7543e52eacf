import { describe, expect, it } from 'vitest';
import { learningRate } from '../../../src/train/schedule.ts';

const rates = (steps: number) => Array.from({ length: steps }, (_, step) => learningRate(step, { peak: 3e-4, steps }));

describe('learningRate', () => {
  it('warms up over the first 5 %, then falls to 1 % by a cosine', () => {
    const all = rates(200);
    expect(all[0]).toBeCloseTo(3e-5, 15);
    expect(all[9]).toBe(3e-4);
    expect(Math.max(...all)).toBe(3e-4);
    expect(all[199]).toBeCloseTo(3e-6, 15);
    for (let step = 10; step < 200; step += 1) expect(all[step]).toBeLessThan(all[step - 1]!);
    // Half way along the cosine (step 104 of 10…199) lies the middle of peak and floor.
    expect(all[104]).toBeCloseTo((3e-4 + 3e-6) / 2, 15);
  });

  it.each([1, 2, 3, 19, 21])('is positive and ends low with %i steps', (steps) => {
    const all = rates(steps);
    for (const rate of all) expect(rate).toBeGreaterThan(0);
    expect(all.at(-1)).toBeCloseTo(steps === 1 ? 3e-4 : 3e-6, 15);
  });

  it.each([[49, 2], [50, 3], [70, 4], [9, 1]])('rounds the warm-up of %i steps to %i', (steps, warmUp) => {
    expect(rates(steps).indexOf(3e-4)).toBe(warmUp - 1);
  });

  it('keeps its floor past the end', () => expect(learningRate(500, { peak: 1, steps: 100 })).toBeCloseTo(0.01, 15));

  it('refuses what is no step', () => {
    expect(() => learningRate(0, { peak: 1, steps: 0 })).toThrow('learningRate: steps must be a whole number of at least 1, got 0');
    expect(() => learningRate(1.5, { peak: 1, steps: 2 })).toThrow('learningRate: step must be a whole number of at least 0, got 1.5');
  });
});
