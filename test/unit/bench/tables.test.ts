import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { dateRange, markdownTable, numberRange, replaceBetween, threeDigits } from '../../../bench/document-tables.ts';
import { kernelsTable, type KernelResults } from '../../../bench/kernels-table.ts';
import { NOT_OFFERED, type PeerResults, type PeerRow } from '../../../bench/peers/row.ts';
import { peersTable } from '../../../bench/peers-table.ts';
import { withTables } from '../../../bench/performance-page.ts';

const root = new URL('../../../', import.meta.url);
const time = (milliseconds: number, ratio: number, version?: string): PeerRow['engines'][string] => ({ milliseconds, least: milliseconds, most: milliseconds, error: 0, ratio, version });
const row = (problem: string, target: number, ratio: number | null, engines: PeerRow['engines'], rounds?: number): PeerRow => ({ problem, date: '2026-01-02T03:04:05.000Z', target, engines, ratio, best: null, rounds });

const all = { 'ct-lite': time(10, 1), 'jax-js': time(19, 1.9, '@jax-js/jax 1.2.3'), tfjs: time(123.4, 12.34), onnxruntime: time(31, 3.1) };
const lavapipe: PeerResults = {
  adapter: 'llvmpipe: Mesa 1 (LLVM 15)',
  node: 'v20.1.0',
  versions: ['ct-lite 0.1.0'],
  rows: [
    row('matmul', 1.2, 1.9, all, 5),
    row('conv3d', 2, 1.9, all, 3),
    row('conv3d backward', 1.5, 1.9, { ...all, onnxruntime: { note: NOT_OFFERED }, tfjs: { note: 'wrong: relative error 2.0e-2' } }),
    row('attention', 1.5, 1.9, { 'ct-lite': time(10, 1), 'jax-js': time(19, 1.9), tfjs: { note: 'no answer in 480 s' } }),
    row('softmax', 1.5, null, { 'ct-lite': time(10, 1), 'jax-js': { note: 'wrong: relative error 2.0e-2' } }),
  ],
};
const swiftshader: PeerResults = { adapter: 'SwiftShader driver 5', node: 'v20.1.0', versions: [], rows: [row('matmul', 1.2, 1.9, all)] };
const problems = [...lavapipe.rows.map(({ problem: name, target }) => ({ name, target })), { name: 'step', target: 2 }];
const lineOf = (page: string, ...starts: string[]): string => page.split('\n').find((line) => line.startsWith(`| ${starts.join(' | ')} |`))!;

describe('the table of engines', () => {
  const page = peersTable([lavapipe, swiftshader], problems);

  it('has every time with its ratio, the aim, and whether it was met', () => {
    expect(lineOf(page, 'matmul', 'lavapipe')).toBe('| matmul | lavapipe | 10 | 19 (1.90×) | 123 (12.34×) | 31 (3.10×) | 1.2× | met |');
    expect(lineOf(page, 'conv3d', 'lavapipe')).toMatch(/\| 2× \| MISSED \|$/);
    expect(page).toContain('Node 20.1.0, 3–5 rounds; @jax-js/jax 1.2.3, ct-lite 0.1.0.');
  });

  it('takes wrong results and what an engine does not offer for no missing peer, but names those that have no time otherwise', () => {
    expect(lineOf(page, 'conv3d backward', 'lavapipe')).toBe('| conv3d backward | lavapipe | 10 | 19 (1.90×) | wrong | – | 1.5× | met |');
    expect(lineOf(page, 'attention', 'lavapipe')).toBe('| attention | lavapipe | 10 | 19 (1.90×) | failed | not run | 1.5× | met, without TensorFlow.js, ONNX Runtime |');
    expect(lineOf(page, 'softmax', 'lavapipe')).toMatch(/\| no correct peer \|$/);
    expect(page).toContain('- attention, lavapipe, TensorFlow.js: no answer in 480 s');
  });

  it('says what was not run, on each adapter', () => {
    expect(lineOf(page, 'step', 'lavapipe')).toBe('| step | lavapipe | not run | not run | not run | not run | 2× | not run |');
    expect(lineOf(page, 'conv3d', 'SwiftShader')).toMatch(/not run \|$/);
    expect(page).toContain('- on lavapipe: step\n');
    expect(page).toContain('- on SwiftShader: conv3d; conv3d backward; attention; softmax; step');
    expect(peersTable([], problems)).toContain('Nothing was compared');
  });

  it('shows PyTorch where it was timed only, and rows of problems that are gone', () => {
    expect(page).not.toContain('PyTorch');
    const cuda = peersTable([{ ...swiftshader, rows: [row('old', 1.2, 1.9, { ...all, 'torch-f32': time(5, 0.5) })] }], []);
    expect(lineOf(cuda, 'old', 'SwiftShader')).toContain('5 (0.50×)');
  });
});

describe('the tables of kernels', () => {
  const ceiling = { flops: 2e9, bandwidth: 1e9, plan: 'rows' } as const;
  const timing = { pass: 'forward', milliseconds: 12.345, spread: 0.04, runs: 7, gpuMilliseconds: null, error: 0, gflops: 1, gigabytes: 0, share: 0.5, bound: 'arithmetic' } as const;
  const date = '2026-01-02T03:04:05.000Z';
  const results: KernelResults = {
    adapter: 'llvmpipe',
    node: 'v20.1.0',
    ceiling,
    cases: [
      { family: 'a', name: 'measured', ceiling, timings: [timing], date },
      { family: 'a', name: 'slow', skipped: 'about 9 s a run', date },
      { family: 'a', name: 'broken', failed: 'forward is wrong', date },
      { family: 'a', name: 'gone', ceiling, timings: [timing], date },
    ],
  };
  const page = kernelsTable([results], ['never', 'broken', 'slow', 'measured'].map((name) => ({ family: 'a', name })));

  it('show what was measured and say why the rest was not', () => {
    expect(page).toContain('| a | measured | 12.3 ±4 % | 50 % product | – | – |');
    expect(page).toContain('| a | broken | FAILED |');
    expect(page).toContain('- a slow: about 9 s a run');
    expect(page).toContain('Never run here: a never.');
    expect(page).toContain('7 runs a pass; at best 2 GFLOP/s');
    expect(page).not.toContain('gone');
  });
});

describe('the page', () => {
  it('keeps what stands around a table, and must have both marks', () => {
    const page = 'a\n<!-- t: begin -->\nold\n<!-- t: end -->\nb';
    expect(replaceBetween(page, 't', 'new')).toBe('a\n<!-- t: begin -->\nnew\n<!-- t: end -->\nb');
    for (const bad of ['', page.replace('end', 'start'), page + page, '<!-- t: end --><!-- t: begin -->']) expect(() => replaceBetween(bad, 't', '')).toThrow(/bench:table: the page must have/);
  });

  it('formats', () => {
    expect([0.012345, 1.2345, 99.96, 123.4, 5].map(threeDigits)).toEqual(['0.0123', '1.23', '100', '123', '5']);
    expect([numberRange([3, 3]), numberRange([5, 3])]).toEqual(['3', '3–5']);
    expect([dateRange([]), dateRange(['2026-01-03T00', '2026-01-02T00', '2026-01-03T01'])]).toEqual(['no date', '2026-01-02 to 2026-01-03']);
    expect(markdownTable(['a'], [['x|y']])).toBe('| a |\n| --- |\n| x\\|y |');
  });

  it('docs/PERFORMANCE.md is what `npm run bench:table` makes of bench/results', async () => {
    const page = await readFile(new URL('docs/PERFORMANCE.md', root), 'utf8');
    expect(await withTables(page, root), 'run `npm run bench:table`').toBe(page);
  });
});
