/** Small seeded volumes for the data tests. */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Size3 } from '../../../src/data/index.ts';

/** Uniform numbers in [0, 1), the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  return () => (generator.next() >>> 0) / 2 ** 32;
}

export function randomHu(seed: number, shape: Size3): Int16Array {
  const random = randomNumbers(seed);
  return Int16Array.from({ length: shape[0] * shape[1] * shape[2] }, () => Math.floor(random() * 2500) - 1000);
}

/** Values in [-1, 1] that vary smoothly, as anatomy does and JPEG likes. */
export function smoothValues([depth, height, width]: Size3): Float32Array {
  const values = new Float32Array(depth * height * width);
  let i = 0;
  for (let d = 0; d < depth; d++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) values[i++] = 0.9 * Math.sin(x / 7 + d) * Math.cos(y / 9 - d / 3);
    }
  }
  return values;
}
