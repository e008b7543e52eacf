import { describe, expect, it } from 'vitest';
import { decisionKey, PlanTable, type PlanDecision } from '../../../src/autograd/plan-table.ts';
import { fastestPlan } from '../../../src/autograd/tune.ts';
import { formatRecord, parseRecord, readRecord, recordName, writeRecord } from '../../../src/autograd/tuning-record.ts';
import type { TuningStore } from '../../../src/engine/index.ts';

const decision = (over: Partial<PlanDecision> = {}): PlanDecision => ({ op: 'matmul', variant: 'NT', extents: { m: 100, n: 64 }, plans: ['tiled', 'rows'], trial: () => () => [], ...over });

describe('PlanTable', () => {
  it('gives the fixed plan, and asks for nothing, until somebody tunes', () => {
    const table = new PlanTable();
    expect(table.choose('tiled', () => { throw new Error('asked'); })).toBe('tiled');
    expect(table.undecided).toEqual([]);
  });

  it('remembers what was met, once a class of sizes, what is made of others last', () => {
    const table = new PlanTable();
    table.isNoting = true;
    table.choose('tiled', () => decision({ op: 'attention', isComposite: true }));
    for (const m of [65, 100, 128]) table.choose('tiled', () => decision({ extents: { m, n: 64 } }));
    table.choose('tiled', () => decision({ extents: { m: 129, n: 64 } }));
    table.choose('tiled', () => decision({ op: 'alone', plans: ['tiled'] }));
    expect(table.undecided.map(({ key, seen }) => [key, seen])).toEqual([
      ['matmul NT m≤128 n≤64: tiled rows', 3],
      ['matmul NT m≤256 n≤64: tiled rows', 1],
      ['attention NT m≤128 n≤64: tiled rows', 1],
    ]);
  });

  it('gives what was pinned where it can run there', () => {
    const table = new PlanTable();
    table.isNoting = true;
    const key = decisionKey(decision());
    table.choose('tiled', () => decision());
    table.pin({ [key]: 'rows' });
    expect(table.undecided).toEqual([]);
    expect(table.choose('tiled', () => decision())).toBe('rows');
    expect(table.choose('tiled', () => decision({ extents: { m: 500, n: 64 } }))).toBe('tiled');
    table.pin({ [key]: 'gone' });
    expect(table.choose('tiled', () => decision())).toBe('tiled');
    expect(table.choices).toEqual({ [key]: 'gone' });
    table.reset();
    expect(table.choose('tiled', () => decision())).toBe('tiled');
  });
});

/** ms a run of each plan, in turn; the last holds on. */
function clock(times: Record<string, number[]>): { time: (plan: string) => Promise<number>; calls: string[] } {
  const calls: string[] = [];
  const left = Object.fromEntries(Object.entries(times).map(([plan, values]) => [plan, [...values]]));
  const time = (plan: string): Promise<number> => {
    calls.push(plan);
    const values = left[plan]!;
    return Promise.resolve(values.length > 1 ? values.shift()! : values[0]!);
  };
  return { time, calls };
}

describe('fastestPlan', () => {
  it('does not take a plan for one lucky time', async () => {
    const { time } = clock({ fixed: [10], lucky: [2, 30, 30, 30], steady: [8] });
    expect((await fastestPlan(['fixed', 'lucky', 'steady'], time)).plan).toBe('fixed');
  });

  it('is not misled where another program holds up some of the runs', async () => {
    const held = { fixed: [10, 10, 90, 10, 90, 90, 10], slower: [12, 90, 12, 90, 12, 12, 90], faster: [70, 8, 8, 90, 8, 8, 90] };
    expect((await fastestPlan(['fixed', 'slower'], clock(held).time)).plan).toBe('fixed');
    expect((await fastestPlan(['fixed', 'slower', 'faster'], clock(held).time)).plan).toBe('faster');
  });

  it('stays with the fixed plan where another is not a tenth faster', async () => {
    const nine = await fastestPlan(['fixed', 'other'], clock({ fixed: [10], other: [9.01] }).time);
    expect(nine).toEqual({ plan: 'fixed', milliseconds: { fixed: 10, other: 9.01 }, isBusy: false });
    expect((await fastestPlan(['fixed', 'other'], clock({ fixed: [10], other: [8.99] }).time)).plan).toBe('other');
  });

  it('decides nothing where most runs of the fixed plan were held up', async () => {
    const { plan, isBusy } = await fastestPlan(['fixed', 'other'], clock({ fixed: [40, 10, 40], other: [5] }).time);
    expect([plan, isBusy]).toEqual(['fixed', true]);
  });

  it('gives a plan that was held up another chance', async () => {
    expect((await fastestPlan(['fixed', 'good'], clock({ fixed: [10], good: [60, 5] }).time)).plan).toBe('good');
  });

  it('runs a hopeless plan once, the fixed one too', async () => {
    const slow = clock({ fixed: [10], slow: [100], fast: [5.1] });
    expect((await fastestPlan(['fixed', 'slow', 'fast'], slow.time)).plan).toBe('fast');
    expect(slow.calls.filter((plan) => plan === 'slow')).toHaveLength(1);
    const fixedIsSlow = clock({ fixed: [100], fast: [5] });
    expect((await fastestPlan(['fixed', 'fast'], fixedIsSlow.time)).plan).toBe('fast');
    expect(fixedIsSlow.calls).toHaveLength(2);
  });

  it('lets another plan begin each round', async () => {
    const { time, calls } = clock({ a: [10], b: [10] });
    await fastestPlan(['a', 'b'], time);
    expect(calls.slice(0, 4)).toEqual(['a', 'b', 'b', 'a']);
  });
});

describe('the record of tuned plans', () => {
  const identity = { adapter: 'mesa / llvmpipe (LLVM 15); subgroups 8-8; subgroups', kernels: 'abc' };
  const memory = (text: string | null): TuningStore & { text: string | null } => ({
    text,
    async read() { return this.text; },
    async write(_, written) { this.text = written; },
  });

  it('comes back as it was written', async () => {
    const store = memory(null);
    await writeRecord(store, identity, { a: 'rows' }, []);
    await writeRecord(store, identity, { b: 'tiled' }, []);
    expect(await readRecord(store, identity, [])).toEqual({ a: 'rows', b: 'tiled' });
  });

  it('says nothing of another adapter or of other kernels', () => {
    const text = formatRecord(identity, { a: 'rows' });
    expect(parseRecord(text, { ...identity, kernels: 'abd' })).toBe(null);
    expect(parseRecord(text, { ...identity, adapter: 'other' })).toBe(null);
    expect(recordName(identity)).not.toBe(recordName({ ...identity, adapter: `${identity.adapter} shader-f16` }));
    expect(recordName(identity)).toMatch(/^plans-mesa-llvmpipe-llvm-15-[0-9a-f]{8}$/);
  });

  const damaged: [what: string, text: string][] = [
    ['cut short', formatRecord(identity, { a: 'rows' }).slice(0, -9)],
    ['empty', ''],
    ['something else', '{"format":"recipes"}'],
    ['null', 'null'],
    ['plans that are no names', formatRecord(identity, { a: 3 } as never)],
  ];
  it.each(damaged)('that is %s is a warning and is replaced', async (_, text) => {
    const store = memory(text);
    const warnings: string[] = [];
    expect(await readRecord(store, identity, warnings)).toEqual({});
    expect(warnings).toHaveLength(1);
    await writeRecord(store, identity, { b: 'tiled' }, warnings);
    expect(warnings).toHaveLength(1);
    expect(await readRecord(store, identity, warnings)).toEqual({ b: 'tiled' });
  });

  it('that cannot be written is a warning', async () => {
    const store = { read: () => Promise.resolve(null), write: () => Promise.reject(new Error('the disk is full')) };
    const warnings: string[] = [];
    await writeRecord(store, identity, { a: 'rows' }, warnings);
    expect(warnings).toEqual(['tune: the plans found cannot be kept, so the next process measures them again: the disk is full']);
  });
});
