import { describe, expect, it } from 'vitest';
import { resultsFile } from '../../../bench/results-file.ts';
import { median, spread } from '../../../bench/statistics.ts';

describe('statistics of times', () => {
  it('takes the middle, or the mean of the two middle ones', () => {
    expect(median([9, 1, 4])).toBe(4);
    expect(median([9, 1, 4, 2])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it('is not moved by one outlier', () => {
    expect(spread([10, 10, 11, 9, 1000, 10, 10, 10, 10])).toBe(0);
    expect(spread([8, 9, 10, 11, 12])).toBeCloseTo(0.1, 12);
  });

  it('names a file after the adapter, without its versions in brackets', () => {
    expect(resultsFile('llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)').pathname).toMatch(/bench\/results\/llvmpipe-mesa-25-0-7-2-bpo12-1\.json$/);
    expect(resultsFile('NVIDIA H200', 'peers').pathname).toMatch(/bench\/results\/nvidia-h200\.peers\.json$/);
  });
});
