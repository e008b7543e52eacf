import type { Work } from './bench-case.ts';

/** Work of a map that is bound by memory: f32 elements read and written, forward and backward. */
export const traffic = (forward: number, backward: number): { forward: Work; backward: Work } => ({
  forward: { flop: 0, bytes: 4 * forward },
  backward: { flop: 0, bytes: 4 * backward },
});
