import { expect, it } from 'vitest';
import { alignClocks } from '../../../src/engine/profile.ts';

const recorded = (kernel: string) => ({ kernel, op: 'op', batch: 0 });
const nanoseconds = (...milliseconds: number[]): BigUint64Array => BigUint64Array.from(milliseconds, (ms) => BigInt(ms * 1e6));

it('puts no dispatch before its submit, and says how far all may be early', () => {
  // The GPU's clock is 1000 ms ahead. The second batch starts 1 ms after its submit, the first 5 ms.
  const { dispatches, kernels, clockUncertainty } = alignClocks([
    { recorded: [recorded('a'), recorded('b')], times: nanoseconds(1015, 1020, 1020, 1030), submitted: 10, mapped: 40 },
    { recorded: [recorded('a')], times: nanoseconds(1051, 1060), submitted: 50, mapped: 63 },
  ]);
  expect(dispatches.map(({ kernel, begin, end }) => [kernel, begin, end])).toEqual([['a', 14, 19], ['b', 19, 29], ['a', 50, 59]]);
  expect(clockUncertainty).toBe(4); // the last may have ended at 63
  expect(kernels).toEqual([{ kernel: 'a', dispatches: 2, milliseconds: 14 }, { kernel: 'b', dispatches: 1, milliseconds: 10 }]);
});

it('gives and adds up what was at work in a stretch of time', () => {
  const submit = { recorded: [recorded('a'), recorded('b'), recorded('c')], times: nanoseconds(1010, 1020, 1020, 1030, 1030, 1040), submitted: 10, mapped: 40 };
  const { dispatches, kernels } = alignClocks([submit], { from: 22, until: 28 });
  expect(dispatches.map(({ kernel }) => kernel)).toEqual(['b']);
  expect(kernels).toEqual([{ kernel: 'b', dispatches: 1, milliseconds: 10 }]);
});

it('takes a profile without dispatches', () => {
  expect(alignClocks([])).toEqual({ dispatches: [], kernels: [], clockUncertainty: 0 });
});
