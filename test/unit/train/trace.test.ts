import { describe, expect, it } from 'vitest';
import { chromeTrace, idleTime, SpanRecorder, type Span } from '../../../src/train/trace.ts';
import { expectChromeTrace } from '../../support/chrome-trace.ts';

interface Event {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur: number;
  args?: Record<string, unknown>;
}

const span = (track: string, name: string, begin: number, end: number): Span => ({ track, name, begin, end });
const dispatch = (kernel: string, begin: number, end: number) => ({ kernel, op: 'matmul', batch: 1, begin, end });

describe('SpanRecorder', () => {
  it('times work that is async until it has settled, also where it fails', async () => {
    const recorder = new SpanRecorder();
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    expect(recorder.span('sync', () => 3)).toBe(3);
    expect(await recorder.span('async', () => wait(20).then(() => 4))).toBe(4);
    await expect(recorder.span('fails', () => wait(5).then(() => Promise.reject(new Error('no'))))).rejects.toThrow('no');
    expect(() => recorder.span('throws', () => { throw new Error('never'); })).toThrow('never');
    expect(recorder.spans.map(({ name }) => name)).toEqual(['sync', 'async', 'fails', 'throws']);
    expect(recorder.spans[1]!.end - recorder.spans[1]!.begin).toBeGreaterThan(15);
  });
});

describe('idleTime', () => {
  it.each<[string, [number, number][], number]>([
    ['nothing runs', [], 10],
    ['one runs throughout', [[-5, 20]], 0],
    ['gaps before, between and after', [[1, 2], [4, 7]], 6],
    ['overlaps count once', [[1, 5], [2, 3], [4, 6]], 5],
    ['out of order', [[8, 9], [0, 2]], 7],
    ['outside', [[-3, -1], [11, 12]], 10],
  ])('%s', (_, spans, idle) => {
    expect(idleTime(spans.map(([begin, end]) => ({ begin, end })), 0, 10)).toBe(idle);
  });
});

describe('chromeTrace', () => {
  const spans = [span('loop', 'step', 100, 110), span('loop', 'forward', 101, 104), span('threads', 'a', 100, 106), span('threads', 'b', 103, 109), span('threads', 'c', 106, 108)];
  const { traceEvents, otherData } = JSON.parse(chromeTrace({ spans, dispatches: [dispatch('gelu', 102, 103.5), dispatch('fill', 105, 105.25)], adapter: 'a GPU', notes: { steps: 1 } })) as { traceEvents: Event[]; otherData: object };
  const named = (kind: string) => traceEvents.filter(({ name }) => name === kind);
  const complete = traceEvents.filter(({ ph }) => ph === 'X');

  it('has both processes and their tracks by name', () => {
    expect(named('process_name').map(({ pid, args }) => [pid, args!.name])).toEqual([[1, 'CPU'], [2, 'GPU: a GPU']]);
    // b overlaps a without lying in it: a row of its own; c fits behind a.
    expect(named('thread_name').map(({ pid, args }) => [pid, args!.name])).toEqual([[1, 'loop'], [1, 'threads'], [1, 'threads (2)'], [2, 'dispatches']]);
    expect(otherData).toEqual({ steps: 1 });
  });

  it('has every span in µs from the first, in order', () => {
    expect(complete.map(({ name, ts, dur }) => [name, ts, dur])).toEqual([
      ['step', 0, 10000], ['a', 0, 6000], ['forward', 1000, 3000], ['gelu', 2000, 1500], ['b', 3000, 6000], ['fill', 5000, 250], ['c', 6000, 2000],
    ]);
    expect(complete.find(({ name }) => name === 'gelu')).toMatchObject({ pid: 2, args: { op: 'matmul', batch: 1 } });
  });

  it('keeps to the trace-event format, in which viewers load it', () => {
    const trace = (made: readonly Span[], kernels: readonly ReturnType<typeof dispatch>[]): string => chromeTrace({ spans: made, dispatches: kernels, adapter: 'a GPU', notes: {} });
    expect(expectChromeTrace(trace(spans, [dispatch('gelu', 102, 103.5), dispatch('fill', 103.5, 103.5)]))).toHaveLength(2 + 4 + 7);
    // What it would not load.
    const events = (change: (events: Event[]) => void): string => {
      const made = JSON.parse(trace(spans, [])) as { traceEvents: Event[] };
      change(made.traceEvents);
      return JSON.stringify(made);
    };
    expect(() => expectChromeTrace(events((all) => void (all.at(-1)!.dur = -1)))).toThrow();
    expect(() => expectChromeTrace(events((all) => void (all.find(({ name }) => name === 'step')!.ts = 5000)))).toThrow();
    expect(() => expectChromeTrace(events((all) => void (all.at(-1)!.tid = 9)))).toThrow();
    expect(() => expectChromeTrace(events((all) => void (all.find(({ name }) => name === 'forward')!.dur = 1e6)))).toThrow();
  });

  it('shows in each row spans that are apart or nested', () => {
    for (const a of complete) {
      for (const b of complete) {
        if (a === b || a.pid !== b.pid || a.tid !== b.tid || a.ts > b.ts) continue;
        expect(b.ts >= a.ts + a.dur || b.ts + b.dur <= a.ts + a.dur, `${a.name} and ${b.name}`).toBe(true);
      }
    }
  });
});
