/** Parsers of command-line values: each throws what was wrong, which commander prints beside the option (exit code 2). */
import { InvalidArgumentError } from 'commander';

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
