import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PatchFastResult } from '../../../src/train/index.ts';
import { buildCommandLine, type CommandLine } from '../../support/command-line.ts';
import { expectError, makeSmallCohort } from './small-cohort.ts';

const limit = 240_000;

describe('experiment-scans', () => {
  let command: CommandLine;
  let cwd: string;
  const at = (...parts: string[]): string => join(cwd, ...parts);
  const experiment = ['experiment-scans', '--data', 'scans', '--teacher', 'run', '--out', 'out', '--steps', '1', '--batch', '2', '--patches', '2', '--arms', 'compression,fast'];

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-experiment-scans-'));
    command = await buildCommandLine('experiment-scans');
    makeSmallCohort(at('scans'), 3, 1);
    const { code, err } = await command.run(['train', '--data', 'scans', '--stage', 'teacher', '--steps', '1', '--batch', '2', '--out', 'run'], { cwd });
    expect(code, err).toBe(0);
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  it('leaves out what cannot be read, measures each patient once, and goes on where it was', async () => {
    const { code, err, out } = await command.run(experiment, { cwd });
    expect(code, err).toBe(0);
    expect(err).toMatch(/left out scan00: .*scan00/);
    expect(out).toMatch(/^fast +JPEG 10 +featureCosine 0\.\d+ → 0\.\d+ \[/m);
    const read = (): PatchFastResult => JSON.parse(readFileSync(at('out', 'patch-fast.json'), 'utf8')) as PatchFastResult;
    const first = read();
    expect(first.folds.map(({ heldOut, trained }) => [heldOut, trained])).toEqual([[['scan01'], ['scan02']], [['scan02'], ['scan01']]]);
    expect(first.skipped.map(({ id }) => id)).toEqual(['scan00']);
    expect(first.settings).toMatchObject({ steps: 1, batch: 2, patchesPerScan: 2, spacingMm: [3, 1.5, 1.5] });
    expect(readdirSync(at('out')).sort()).toEqual(['fold-1.json', 'fold-2.json', 'patch-fast.json']);
    rmSync(at('out', 'fold-2.json'));
    const again = await command.run(experiment, { cwd });
    expect(again.err).toContain('fold 1 of 2 is done already');
    expect(again.err).not.toContain('fold 2 of 2 is done already');
    expect({ ...read(), seconds: 0, folds: 0 }).toEqual({ ...first, seconds: 0, folds: 0 });
  }, limit);

  it('says what is wrong', async () => {
    expect((await command.run([...experiment, '--arms', 'fast,none'], { cwd })).code).toBe(2);
    expectError(await command.run([...experiment, '--learning-rate', '0.5'], { cwd }), /out\/fold-1\.json: is of a run with other settings, another teacher or other scans; choose another --out, or remove it/);
    mkdirSync(at('one'));
    renameSync(at('scans', 'scan02.nii.gz'), at('one', 'scan02.nii.gz'));
    expectError(await command.run([...experiment, '--data', 'one', '--out', 'other'], { cwd }), /scans of at least two patients are needed, to measure on one that was not trained on, got 1; add scans to the folder/);
  }, limit);
});
