import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExperimentResults } from '../../../src/train/index.ts';
import { buildCommandLine, type CommandLine, type Finished } from '../../support/command-line.ts';
import { expectError } from './small-cohort.ts';

const limit = 400_000;
const config = { name: 'test', seeds: [0], arms: ['baseline', 'ct-lite'], cohort: { seed: 3, patients: 6, testPatients: 5, prevalenceFloor: 0.4 }, train: { steps: 5, fastSteps: 2, batch: 4, checkpointEvery: 100 } };

let command: CommandLine;
let cwd: string;
const at = (...parts: string[]): string => join(cwd, ...parts);
const write = (name: string, changes: object = {}): void => writeFileSync(at(name), JSON.stringify({ ...config, ...changes }));
const run = (...args: string[]): Promise<Finished> => command.run(['experiment', ...args], { cwd });
const results = (out: string): ExperimentResults => JSON.parse(readFileSync(at(out, 'results.json'), 'utf8')) as ExperimentResults;
/** What two runs of the same config must share: all but times and memory. */
const measured = (out: string): object => results(out).arms.map(({ arm, meanAuroc, relativeLoss, labels, parameters, bytesPerVolume, seeds }) => ({ arm, meanAuroc, relativeLoss, labels, parameters, bytesPerVolume, seeds: seeds.map(({ seed, meanAuroc: mean, steps }) => ({ seed, mean, steps })) }));

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'ct-lite-experiment-'));
  command = await buildCommandLine('experiment');
  write('config.json');
  const done = await run('config.json', '--out', 'whole');
  expect(done.code, done.err).toBe(0);
  expect(done.out).toMatch(/HELD: The projection heads have at most 52 %/);
}, limit);

afterAll(async () => {
  await command.remove();
  rmSync(cwd, { recursive: true, force: true });
});

describe('ct-lite experiment', () => {
  it('trains and measures each arm, and says what it found', () => {
    const found = results('whole');
    expect(found).toMatchObject({ name: 'test', runs: { done: 2, planned: 2 }, cohort: { phantom: true }, rawBytesPerVolume: 2 * 16 * 64 * 64 });
    expect(found.arms.map(({ arm, seeds }) => [arm, seeds.map(({ steps }) => steps)])).toEqual([['baseline', [5]], ['ct-lite', [5]]]);
    const [baseline, ctLite] = found.arms as [ExperimentResults['arms'][0], ExperimentResults['arms'][0]];
    expect([baseline.parameters, ctLite.parameters]).toEqual([{ encoder: 101_300, heads: 10_368 }, { encoder: 101_300, heads: 5252 }]);
    expect(ctLite.bytesPerVolume).toBeLessThan(baseline.bytesPerVolume / 4);
    expect(ctLite.relativeLoss!.value).toBeCloseTo(1 - ctLite.meanAuroc.value / baseline.meanAuroc.value, 4);
    expect([baseline.errorHu, ctLite.errorHu > 1]).toEqual([0, true]);
    expect(ctLite.peakGpuBytes).toBeGreaterThan(1e6);
    expect(found.claims.map(({ id }) => id)).toEqual(['within-5-percent', 'better-than-jpeg', 'heads-at-most-52-percent']);
    expect(existsSync(at('whole', 'runs', 'ct-lite-seed0', 'scores.csv'))).toBe(true);
  });

  it('after Ctrl-C goes on where it was, to the same figures', async () => {
    const started = command.start(['experiment', 'config.json', '--out', 'broken'], { cwd });
    const firstDone = /run 1 of 2, arm baseline, seed 0: mean AUROC/;
    let seen = '';
    started.process.stderr!.on('data', (data) => {
      // The first run is done, the second is at work.
      if (!firstDone.test(seen) && firstDone.test((seen += String(data)))) setTimeout(() => started.process.kill('SIGINT'), 500);
    });
    const stopped = await started.finished;
    expect(stopped.code, stopped.err).toBe(130);
    const first = statSync(at('broken', 'runs', 'baseline-seed0', 'result.json')).mtimeMs;
    expect(existsSync(at('broken', 'runs', 'ct-lite-seed0', 'result.json'))).toBe(false);
    const resumed = await run('config.json', '--out', 'broken');
    expect(resumed.code, resumed.err).toBe(0);
    expect(statSync(at('broken', 'runs', 'baseline-seed0', 'result.json')).mtimeMs).toBe(first);
    expect(measured('broken')).toEqual(measured('whole'));
  }, limit);

  it('refuses a config whose runs could not be compared, and takes further arms and seeds', async () => {
    write('changed.json', { train: { ...config.train, steps: 6 } });
    expectError(await run('changed.json', '--out', 'whole'), /^error: experiment: whole: was begun with another config/, /train\.steps: 5 → 6; choose another --out/);
    write('fewer.json', { arms: ['baseline'] });
    const fewer = await run('fewer.json', '--out', 'whole');
    expect(fewer.code, fewer.err).toBe(0);
    expect(results('whole').runs).toEqual({ done: 1, planned: 1 });
    expect(readdirSync(at('whole', 'runs')).sort()).toEqual(['baseline-seed0', 'ct-lite-seed0']);
  }, limit);

  it('says what is wrong with a config before it does anything', async () => {
    write('bad.json', { quality: 0 });
    expectError(await run('bad.json', '--out', 'none'), /^error: bad\.json: "quality" must be a whole number from 1 to 100, got 0/);
    expectError(await run('missing.json', '--out', 'none'), /^error: experiment: missing\.json: cannot be read \(ENOENT\)/);
    expect(existsSync(at('none'))).toBe(false);
  });
});

it('ct-lite experiment-page writes the page and its plots from results', async () => {
  const done = await command.run(['experiment-page', at('whole', 'results.json'), '--out', 'docs'], { cwd, gpu: false });
  expect(done.code, done.err).toBe(0);
  const page = readFileSync(at('docs', 'RESULTS.md'), 'utf8');
  for (const [, file] of page.matchAll(/\]\((results\/[^)]+\.svg)\)/g)) expect(readFileSync(at('docs', file!), 'utf8')).toMatch(/^<svg /);
  expect(page).toContain('say nothing about patients');
  expectError(await command.run(['experiment-page', at('config.json'), '--out', 'docs'], { cwd, gpu: false }), /^error: config\.json: is no result of ct-lite experiment/);
});
