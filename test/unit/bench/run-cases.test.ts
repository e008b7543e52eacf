import { expect, it } from 'vitest';
import { describeTotals, totalsOf } from '../../../bench/describe.ts';
import { runsWithin } from '../../../bench/harness.ts';
import { runCases, type Answer, type Missed, type Named } from '../../../bench/run-cases.ts';

type Result = Named & { timings: [] };

/** A clock that cases move, each by the seconds that it takes; one that takes longer than its limit is late, a negative one dies. */
async function run(seconds: readonly number[], limits: { seconds: number; caseSeconds: number }, openFails = (_: number) => false): Promise<{ results: (Result | Missed)[]; opened: number; stopped: number; took: number }> {
  const list = seconds.map((_, at) => ({ family: 'f', name: `${at}` }));
  const results: (Result | Missed)[] = [];
  let [time, opened, stopped] = [0, 0, 0];
  await runCases<Result>(list, {
    limits,
    now: () => 1000 * time,
    async open() {
      if (openFails(opened++)) throw new Error('no adapter');
      return {
        async run(at, most): Promise<Answer<Result>> {
          if (seconds[at]! < 0) return { died: 'its process ended with SIGSEGV' };
          time += Math.min(seconds[at]!, most);
          return seconds[at]! > most ? { isLate: true } : { result: { ...list[at]!, timings: [] } };
        },
        stop: () => void stopped++,
      };
    },
    onResult: async (result) => void results.push(result),
  });
  return { results, opened, stopped, took: time };
}

it('ends a case that never ends, opens another runner and goes on', async () => {
  const { results, opened, stopped, took } = await run([1, Infinity, 2], { seconds: 100, caseSeconds: 10 });
  expect(results.map((result) => 'timings' in result)).toEqual([true, false, true]);
  expect(results[1]).toEqual({ family: 'f', name: '1', because: 'cut', skipped: 'cut: not done after 10 s, all that a case gets; --case-seconds gives more' });
  expect([opened, stopped, took]).toEqual([2, 2, 13]);
});

it('comes to an end when its time is used up, whatever is left, and names it', async () => {
  const { results, took } = await run([6, Infinity, 1, 1], { seconds: 10, caseSeconds: 8 });
  expect(took).toBe(10);
  expect(results[1]).toMatchObject({ because: 'cut', skipped: 'cut: not done after 4 s, all that was left of the run; --seconds gives more' });
  expect(results.slice(2)).toEqual(['2', '3'].map((name) => ({ family: 'f', name, because: 'left out', skipped: "left out: the run's 10 s were used up; --seconds gives more" })));
  const totals = totalsOf(results, 4);
  expect(totals).toEqual({ cases: 4, measured: 1, failed: [], cut: ['f 1'], leftOut: ['f 2', 'f 3'], skipped: [] });
  expect(describeTotals(totals)).toEqual(['1 cases measured, 0 failed, 0 skipped, 1 cut, 2 left out', 'cut by the limit of time: f 1', 'left out, since the time of the run was used up: f 2; f 3']);
});

it('survives a runner that dies, and one that cannot be opened again', async () => {
  const { results, opened } = await run([1, -1, 1, 1], { seconds: 100, caseSeconds: 10 }, (time) => time === 1);
  expect(results.map((result) => ('failed' in result ? result.failed : 'done'))).toEqual(['done', 'its process ended with SIGSEGV', 'no adapter', 'done']);
  expect(opened).toBe(3);
});

it('takes as many runs as fit, one always, and profiles with what is left', () => {
  const usual = { iterations: 5, profiled: 3 };
  expect(runsWithin(Infinity, 10, usual)).toEqual(usual);
  expect(runsWithin(64, 10, usual)).toEqual({ iterations: 5, profiled: 1 });
  expect(runsWithin(25, 10, usual)).toEqual({ iterations: 2, profiled: 0 });
  expect(runsWithin(-5, 10, usual)).toEqual({ iterations: 1, profiled: 0 });
});
