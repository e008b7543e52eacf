import { describe, expect, it } from 'vitest';
import { fromHalfBits, fromHalves, toHalfBits, toHalves } from '../../../src/train/half-precision.ts';

describe('half precision', () => {
  it.each([
    [0, 0x0000], [-0, 0x8000], [1, 0x3c00], [-2, 0xc000], [65504, 0x7bff], [65519.99, 0x7bff], [65520, 0x7c00], [-Infinity, 0xfc00],
    [2 ** -14, 0x0400], [2 ** -24, 0x0001], [2 ** -25, 0x0000], [3 * 2 ** -25, 0x0002], [2 ** -14 - 2 ** -24, 0x03ff], [1 / 3, 0x3555],
    [1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [1e-30, 0],
  ])('%f has the bits of IEEE 754, ties to even', (value, bits) => expect(toHalfBits(value)).toBe(bits));

  it('gives every half back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalfBits(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromHalfBits(toHalfBits(value)))).toBe(true);
      else if (toHalfBits(value) !== bits) throw new Error(`${bits} became ${toHalfBits(value)}`);
    }
  });

  it('rounds to the nearest: no error above half of the last place', () => {
    const values = Float32Array.from({ length: 999 }, (_, n) => Math.sin(n) * 10 ** (n % 5));
    fromHalves(toHalves(values)).forEach((half, n) => expect(Math.abs(half - values[n]!)).toBeLessThanOrEqual(Math.max(2 ** -25, Math.abs(values[n]!) * 2 ** -11)));
  });
});
