/** Parsers of command-line values: each throws what was wrong, which commander prints beside the option (exit code 2). */
import { InvalidArgumentError } from 'commander';

const unitBytes: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, MIB: 2 ** 20, GIB: 2 ** 30 };

/** For `option(…, byteSize)`: a number with its unit, `2GB`, `1.5 GiB`, `800MB`; in bytes. */
export function byteSize(text: string): number {
  const [, number, unit] = /^([0-9]*\.?[0-9]+)\s*([a-z]+)$/i.exec(text.trim()) ?? [];
  const bytes = Number(number) * (unitBytes[unit?.toUpperCase() ?? ''] ?? NaN);
  if (!(bytes > 0)) throw new InvalidArgumentError('It must be a size above 0 with its unit, MB, GB, MiB or GiB: 2GB, 1.5GiB, 800MB.');
  return Math.floor(bytes);
}

/** For `option(…, wholeNumber(1))`: a whole number of at least `least` and at most `most`. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(most === Number.MAX_SAFE_INTEGER ? `It must be a whole number of at least ${least}.` : `It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}
