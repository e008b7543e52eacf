import { describe, expect, it } from 'vitest';
import { batchIndices, gaussian, permutation, seededRandom, uniform } from '../../../src/train/sampler.ts';

const draw = (...stream: Parameters<typeof seededRandom>) => {
  const random = seededRandom(...stream);
  return Array.from({ length: 4 }, () => random.next());
};

describe('seededRandom', () => {
  it('repeats with its seed and stream', () => expect(draw(1, 2, 'jpeg')).toEqual(draw(1, 2, 'jpeg')));

  it('gives each name a stream of its own', () => {
    const names: Parameters<typeof seededRandom>[] = [[1], [2], [-1], [2 ** 32 + 1], [1, 0], [1, 1], [1, '1'], [1, 'ab', 'c'], [1, 'a', 'bc'], [1, ''], [1, 0, 0]];
    expect(new Set(names.map((name) => draw(...name).join())).size).toBe(names.length);
  });

  it('pins the first numbers, on which saved runs depend', () => expect(draw(42, 7, 'quality')).toEqual([-1697205579, -778513978, 1232117485, 2014078011]));

  it('refuses fractions', () => expect(() => seededRandom(0.5)).toThrow('seededRandom: seed and stream numbers must be whole, got 0.5'));

  it('is unrelated for neighbouring seeds', () => {
    // First draws of 4000 neighbouring streams: mean of uniforms has deviation 0.0046, lag-1 correlation 0.016; four of them.
    const first = Array.from({ length: 4000 }, (_, step) => uniform(seededRandom(0, step)));
    const mean = first.reduce((a, b) => a + b) / first.length;
    const correlation = first.slice(1).reduce((sum, value, n) => sum + (value - 0.5) * (first[n]! - 0.5), 0) / first.length / (1 / 12);
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.019);
    expect(Math.abs(correlation)).toBeLessThan(0.064);
  });
});

describe('uniform and gaussian', () => {
  const random = seededRandom(3);
  it('uniform stays in its range', () => {
    const values = Array.from({ length: 1000 }, () => uniform(random, 30, 95));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(30);
    expect(Math.max(...values)).toBeLessThan(95);
  });
  it('gaussian has its moments', () => {
    const values = Array.from({ length: 20000 }, () => gaussian(random, 2, 3));
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    const within = values.filter((value) => Math.abs(value - 2) < 3).length / values.length;
    // Deviations at n = 20000: mean 0.021, variance 9·√(2/n) = 0.09, share 0.0033; four of them.
    expect(Math.abs(mean - 2)).toBeLessThan(0.085);
    expect(Math.abs(variance - 9)).toBeLessThan(0.36);
    expect(Math.abs(within - 0.6827)).toBeLessThan(0.0132);
  });
});

describe('permutation', () => {
  it.each([1, 2, 63, 65])('holds each of %i numbers once', (count) => {
    expect([...permutation(count, 9)].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
  });
  it('favours no order', () => {
    const seen = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed += 1) seen.set(permutation(3, seed).join(), (seen.get(permutation(3, seed).join()) ?? 0) + 1);
    expect(seen.size).toBe(6);
    // 1000 each, deviation √(6000·5/36) = 29; four of them.
    for (const times of seen.values()) expect(Math.abs(times - 1000)).toBeLessThan(116);
  });
});

describe('batchIndices', () => {
  it.each([[4, 8], [3, 10], [5, 63], [7, 3], [1, 1], [64, 65]])('batches of %i of %i: every epoch holds every sample once', (batch, count) => {
    const epochs = 4;
    const steps = Math.ceil((epochs * count) / batch);
    const stream = Array.from({ length: steps }, (_, step) => batchIndices(11, step, batch, count)).flat();
    const orders = Array.from({ length: epochs }, (_, epoch) => stream.slice(epoch * count, (epoch + 1) * count));
    for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
    if (count > 8) expect(orders[0]).not.toEqual(orders[1]);
  });

  it('is a function of seed and step alone', () => {
    const forward = Array.from({ length: 20 }, (_, step) => batchIndices(5, step, 4, 10));
    const backward = Array.from({ length: 20 }, (_, n) => batchIndices(5, 19 - n, 4, 10)).reverse();
    expect(backward).toEqual(forward);
    expect(batchIndices(6, 0, 4, 10)).not.toEqual(forward[0]);
  });

  it.each([
    [-1, 4, 10, 'step must be a whole number of at least 0, got -1'],
    [0, 0, 10, 'batch must be a whole number of at least 1, got 0'],
    [0, 4, 0, 'count must be a whole number of at least 1, got 0'],
  ])('refuses step %d, batch %d, count %d', (step, batch, count, message) => {
    expect(() => batchIndices(1, step, batch, count)).toThrow(`batchIndices: ${message}`);
  });
});
