import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { phantomSizes, refuseContradictions } from '../../../src/cli/resume-flags.ts';
import type { RunConfig } from '../../../src/cli/run-folder.ts';
import type { TrainFlags } from '../../../src/cli/train.ts';
import { makeConfig } from '../../../src/train/config.ts';

const base = { version: '0.1.0', command: 'node train.js', startedAt: '' };
const phantom: RunConfig = { ...base, source: { data: 'runs/phantom-seed3-140+60' }, phantom: true, train: makeConfig('tiny', 3) };
const own: RunConfig = { ...base, source: { data: 'scans', reports: 'reports.csv' }, phantom: false, init: 'runs/first', train: makeConfig('small', 0) };

/** What commander would give for these flags: its defaults, and what stood on the command line. */
function resume(config: RunConfig, flags: Partial<TrainFlags>): void {
  const defaults: TrainFlags = { preset: 'tiny', stage: 'all', seed: 0, patients: 140, validationPatients: 60, precision: 'f32' };
  refuseContradictions({ ...defaults, resume: 'runs/a', ...flags }, (flag) => flag in flags, config, 'runs/a');
}

describe('flags beside --resume', () => {
  it('that say nothing or what the run has are taken', () => {
    for (const config of [phantom, own]) resume(config, {});
    resume(phantom, { seed: 3, steps: 70, batch: 8, quality: 75, preset: 'tiny', stage: 'all', head: 'sfp', text: 'sentence', labelPrompts: true, patients: 140, validationPatients: 60, out: resolve('runs/a') });
    resume(own, { data: resolve('scans'), reports: './reports.csv', init: 'runs/first/', labelPrompts: false });
  });

  it('that may differ are taken', () => resume(phantom, { learningRate: 1e-5, adapter: 'swiftshader', profile: true }));

  it.each<[keyof TrainFlags, RunConfig, Partial<TrainFlags>, string]>([
    ['seed', phantom, { seed: 0 }, '--seed 0 was given where the run has 3.'],
    ['steps', phantom, { steps: 69 }, '--steps 69 was given where the run has 70.'],
    ['batch', phantom, { batch: 4 }, '--batch 4 was given where the run has 8.'],
    ['quality', phantom, { quality: 50 }, '--quality 50 was given where the run has 75.'],
    ['preset', own, { preset: 'tiny' }, '--preset tiny was given where the run has small.'],
    ['stage', phantom, { stage: 'align' }, '--stage align was given where the run has all.'],
    ['head', phantom, { head: 'dense' }, '--head dense was given where the run has sfp.'],
    ['text', phantom, { text: 'report' }, '--text report was given where the run has sentence.'],
    ['labelPrompts', phantom, { labelPrompts: false }, '--no-label-prompts was given where the run has --label-prompts.'],
    ['labelPrompts', own, { labelPrompts: true }, '--label-prompts was given where the run has --no-label-prompts.'],
    ['patients', phantom, { patients: 9 }, '--patients 9 was given where the run has 140.'],
    ['patients', own, { patients: 140 }, '--patients 140 was given where the run has none.'],
    ['validationPatients', phantom, { validationPatients: 9 }, '--validation-patients 9 was given where the run has 60.'],
    ['data', phantom, { data: 'scans' }, '--data scans was given where the run has none.'],
    ['data', own, { data: 'other' }, '--data other was given where the run has scans.'],
    ['reports', own, { reports: 'b.csv' }, '--reports b.csv was given where the run has reports.csv.'],
    ['labels', own, { labels: 'b.csv' }, '--labels b.csv was given where the run has none.'],
    ['vocab', own, { vocab: 'vocab.txt' }, '--vocab vocab.txt was given where the run has none.'],
    ['init', own, { init: 'runs/second' }, '--init runs/second was given where the run has runs/first.'],
    ['out', own, { out: 'runs/b' }, '--out runs/b was given where the run has runs/a.'],
  ])('that contradict the run are refused by name: %s (%#)', (_, config, flags, said) => {
    expect(() => resume(config, flags)).toThrow(`train: runs/a: the run goes on with its own settings, but ${said} Leave this flag out, or start a new run (--init runs/a gives it this one's models)`);
  });

  it('are all named', () => {
    expect(() => resume(phantom, { seed: 0, batch: 1 })).toThrow('--seed 0 was given where the run has 3; --batch 1 was given where the run has 8. Leave these flags out');
  });

  it('a run of one stage is named by it', () => {
    const config = { ...phantom, train: { ...phantom.train, stages: { align: phantom.train.stages.align! } } };
    resume(config, { stage: 'align' });
    expect(() => resume(config, { stage: 'all' })).toThrow('--stage all was given where the run has align.');
  });
});

it('the numbers of patients of a phantom run stand in its folder name', () => {
  expect(phantomSizes(phantom)).toEqual({ patients: 140, validationPatients: 60 });
  expect(phantomSizes({ ...own, source: { data: 'scans-1+2' } })).toBeNull();
});

it('keeps a run to the kernel plans that it began with', () => {
  const tuned = { ...phantom, tune: true };
  expect(() => resume(tuned, { deterministic: true })).toThrow('--deterministic was given where the run is tuned');
  expect(() => resume(phantom, { tune: true })).toThrow('--tune was given where the run takes the fixed plans');
  expect(() => resume(tuned, { tune: true })).not.toThrow();
  expect(() => resume(phantom, { deterministic: true })).not.toThrow();
});
