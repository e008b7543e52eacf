/** Seeded random streams for the phantom: every structure, finding and noise field draws from its own stream, so adding one changes no other. */
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

/** A stream of random numbers. The same key gives the same numbers on every machine. */
export interface RandomStream {
  /** A signed 32-bit integer. */
  int32(): number;
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** An integer in [low, high], both ends included. */
  integer(low: number, high: number): number;
  /** One of the items, all equally likely. */
  pick<T>(items: readonly T[]): T;
  /** `count` different items in random order (all of them where there are fewer). */
  sample<T>(items: readonly T[], count: number): T[];
}

/** MurmurHash3's finaliser: every input bit changes about half of the output bits. */
function scramble(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * Opens the stream that belongs to a key of integers, for example (seed, patient, STREAM.anatomy).
 * Streams of different keys are independent for all practical purposes: 128 bits of state are hashed from the whole key.
 */
export function randomStream(...key: number[]): RandomStream {
  const state = [0x9e3779b9, 0x7f4a7c15, 0x94d049bb, 0x2545f491].map((salt) => {
    let h = salt | 0;
    for (const part of key) h = scramble(Math.imul(h, 31) + scramble(part ^ salt) + (part / 0x100000000 | 0));
    return h;
  });
  state[0] = state[0]! | 1;
  const generator = xoroshiro128plusFromState(state);
  // xoroshiro's first outputs still show the state's bit patterns.
  for (let i = 0; i < 4; i++) generator.next();

  const unit = () => (generator.next() >>> 0) / 0x100000000;
  const stream: RandomStream = {
    int32: () => generator.next(),
    uniform: (low, high) => low + (high - low) * unit(),
    normal: () => Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit()),
    chance: (probability) => unit() < probability,
    integer: (low, high) => low + Math.floor(unit() * (high - low + 1)),
    pick: (items) => items[Math.floor(unit() * items.length)]!,
    sample: (items, count) => {
      const pool = [...items];
      const taken = [];
      while (pool.length > 0 && taken.length < count) taken.push(pool.splice(Math.floor(unit() * pool.length), 1)[0]!);
      return taken;
    },
  };
  return stream;
}

/** Names of the streams of one scan; a number is never reused for another purpose. */
export const STREAM = {
  labels: 1, anatomy: 2, tree: 3, acquisition: 4, report: 5, texture: 6, noise: 7, schedule: 8, followUp: 9,
  /** The stream of label i's finding is `finding + i`. */
  finding: 100,
} as const;
