/**
 * Random numbers and batches that are pure functions of the seed and the global step: a resumed run draws exactly what the unbroken
 * one would have drawn, and nothing of the generator needs to be saved.
 */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

export type { RandomGenerator };

/** MurmurHash3's finaliser (Appleby, public domain): every input bit reaches every output bit. */
function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}

/** The 32-bit words of one part of a stream's name; the leading word keeps 1 and "1" apart, and its length "ab","c" and "a","bc". */
function wordsOf(part: number | string): number[] {
  if (typeof part === 'number') {
    if (!Number.isSafeInteger(part)) throw new Error(`seededRandom: seed and stream numbers must be whole, got ${part}`);
    return [1, part | 0, Math.floor(part / 2 ** 32) | 0];
  }
  return [2, part.length, ...Array.from(part, (_, at) => part.charCodeAt(at))];
}

/**
 * A generator of its own for each (seed, stream): `seededRandom(seed, step, 'augment')`. The whole 128-bit state is hashed from
 * the name, so neighbouring seeds and steps are unrelated.
 *
 * @throws Error where a number is not a safe integer
 */
export function seededRandom(seed: number, ...stream: (number | string)[]): RandomGenerator {
  const state: number[] = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]; // the fraction of π, so that the lanes differ
  for (const word of [seed, ...stream].flatMap(wordsOf)) {
    for (let lane = 0; lane < 4; lane += 1) state[lane] = mix((Math.imul(state[lane]!, 31) + word + lane) | 0);
  }
  // All zero is the one state that xoroshiro128+ can't leave.
  if (!state.some(Boolean)) state[0] = 1;
  return xoroshiro128plusFromState(state);
}

/** A number in [low, high). */
export function uniform(random: RandomGenerator, low = 0, high = 1): number {
  return low + (high - low) * uniformFloat64(random);
}

/** A number from N(mean, deviation²), by Box and Muller. */
export function gaussian(random: RandomGenerator, mean = 0, deviation = 1): number {
  // 1 − u lies in (0, 1]: its logarithm is finite.
  const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
  return mean + deviation * radius * Math.cos(2 * Math.PI * uniformFloat64(random));
}

/** The numbers 0 … count−1 in an order that (seed, stream) fixes, by Fisher and Yates. */
export function permutation(count: number, seed: number, ...stream: (number | string)[]): Uint32Array {
  const random = seededRandom(seed, ...stream);
  const order = Uint32Array.from({ length: count }, (_, n) => n);
  for (let n = count - 1; n > 0; n -= 1) {
    const other = uniformInt(random, 0, n);
    [order[n], order[other]] = [order[other]!, order[n]!];
  }
  return order;
}

/**
 * The samples of one step. Epochs are permutations laid end to end, so each sample comes once an epoch and none is dropped; a batch
 * that crosses the seam of two epochs (or is larger than the set) may hold a sample twice.
 *
 * @param step global step, from 0; with accumulation, the micro-batch's number
 * @param batch samples a step
 * @param count samples in the set
 */
export function batchIndices(seed: number, step: number, batch: number, count: number): number[] {
  for (const [name, value, least] of [['step', step, 0], ['batch', batch, 1], ['count', count, 1]] as [string, number, number][]) {
    if (!Number.isSafeInteger(value) || value < least) throw new Error(`batchIndices: ${name} must be a whole number of at least ${least}, got ${value}`);
  }
  const indices: number[] = [];
  for (let at = step * batch; indices.length < batch; ) {
    const epoch = Math.floor(at / count);
    const offset = at % count;
    const part = permutation(count, seed, 'epoch', epoch).subarray(offset, offset + batch - indices.length);
    indices.push(...part);
    at += part.length;
  }
  return indices;
}
