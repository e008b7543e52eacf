import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pageFiles, parseExperiment } from '../../../../src/train/index.ts';
import { samplePatchResult, sampleResults } from './plot-samples.ts';
import { RESULTS_FORMAT, type ExperimentResults } from '../../../../src/train/experiment/results.ts';

const root = new URL('../../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
/** In the order of their names, as the command in CONTRIBUTING.md gives them. */
const sources = readdirSync(new URL('bench/results/', root)).filter((name) => /^(experiment-|patch-fast).*\.json$/.test(name)).sort().map((name) => ({ name, json: read(`bench/results/${name}`) }));

describe('docs/RESULTS.md', () => {
  it('is what the generator makes of the JSON in bench/results, with its plots', () => {
    expect(sources.length).toBeGreaterThan(0);
    for (const [path, text] of pageFiles(sources)) expect(read(`docs/${path}`) === text, `docs/${path} is out of date; run: npx ct-lite experiment-page ${sources.map(({ name }) => `bench/results/${name}`).join(' ')} --out docs`).toBe(true);
  });

  it('shows every plot that it names, and has no others beside it', () => {
    const named = [...read('docs/RESULTS.md').matchAll(/\]\(results\/([^)]+)\)/g)].map(([, file]) => file!).sort();
    expect(readdirSync(new URL('docs/results/', root)).sort()).toEqual(named);
  });

  it('says what was not measured', () => {
    for (const { json } of sources) {
      const results = JSON.parse(json) as ExperimentResults;
      if (results.format !== RESULTS_FORMAT) continue;
      const page = pageFiles([{ name: 'x', json }]).get('RESULTS.md')!;
      expect(page.includes('Not complete')).toBe(results.runs.done < results.runs.planned);
      expect(page).toContain('say nothing about patients');
      expect(page).toContain(results.adapter.line.replace(/^adapter: /, ''));
    }
  });
});

it('pageFiles refuses what is no result, naming the file', () => {
  expect(() => pageFiles([{ name: 'a.json', json: '{}' }])).toThrow(/^a\.json: is no result/);
  expect(() => pageFiles([{ name: 'a.json', json: '{' }])).toThrow(/^a\.json: must hold JSON/);
  expect(() => pageFiles([{ name: 'a.json', json: JSON.stringify({ format: RESULTS_FORMAT, version: 99 }) }])).toThrow(/^a\.json: has version 99/);
});

it('pageFiles names every plot that it makes, of experiments and of real scans', () => {
  const config = parseExperiment(JSON.stringify({ name: 'sample', arms: ['baseline', 'jpeg'], cohort: { seed: 1, patients: 20, testPatients: 10 }, train: { steps: 10, fastSteps: 2 } }), 'sample.json');
  const files = pageFiles([{ name: 'a.json', json: JSON.stringify({ ...sampleResults(), config }) }, { name: 'b.json', json: JSON.stringify(samplePatchResult()) }]);
  const page = files.get('RESULTS.md')!;
  const named = [...page.matchAll(/\]\((results\/[^)]+)\)/g)].map(([, file]) => file!);
  expect(named.length).toBeGreaterThan(3);
  expect([...files.keys()].filter((path) => path !== 'RESULTS.md').sort()).toEqual(named.sort());
  expect(page).toContain('## Real scans');
  expect(page).toContain('### `b`');
  const { arms } = sampleResults();
  for (const { title, meanAuroc } of arms) expect(page).toMatch(new RegExp(`\\| ${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')} .*${meanAuroc.value.toFixed(3)}`));
});
