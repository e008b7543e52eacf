import { describe, expect, it } from 'vitest';
import { byteSize } from '../../../src/cli/options.ts';

describe('byteSize', () => {
  it.each([['2GB', 2e9], ['1.5GiB', 1.5 * 2 ** 30], ['800 mb', 8e8], ['.5MiB', 2 ** 19]])('%s', (text, bytes) => {
    expect(byteSize(text)).toBe(bytes);
  });

  it.each(['2', 'GB', '2TB', '-1GB', '0GB', '2GBs', '1e9B', ''])('refuses "%s"', (text) => {
    expect(() => byteSize(text)).toThrow('It must be a size above 0 with its unit, MB, GB, MiB or GiB: 2GB, 1.5GiB, 800MB.');
  });
});
