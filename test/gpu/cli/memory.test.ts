import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCommandLine, type CommandLine } from '../../support/command-line.ts';
import { expectError, makeSmallCohort } from './small-cohort.ts';

const limit = 240_000;
const train = ['train', '--data', 'scans', '--steps', '3', '--batch', '2'];

describe('train --memory', () => {
  let command: CommandLine;
  let cwd: string;

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-memory-'));
    command = await buildCommandLine('memory');
    makeSmallCohort(join(cwd, 'scans'), 6);
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  const planLine = (err: string): string => err.split('\n').find((line) => line.startsWith('memory: '))!;

  it('prints the plan before the first step, keeps within it, writes it down, and resumes with it', async () => {
    const { code, err } = await command.run([...train, '--out', 'run', '--memory', '15MB'], { cwd });
    expect(code, err).toBe(0);
    expect(planLine(err)).toMatch(/^memory: \d+ MB of 15 MB \(--memory\), with gradient checkpointing of blocks/);
    expect(err).toMatch(/at most, in \w+(\.\w+)? of stage align: weights \d+ MB, optimiser \d+ MB, gradients \d+ MB, input, activations and work space \d+ MB/);
    expect(err.indexOf('memory: ')).toBeLessThan(err.indexOf('training 1/3'));
    const { memory, train: settings } = JSON.parse(readFileSync(join(cwd, 'run', 'config.json'), 'utf8')) as { memory: { measures: object; count: { peakBytes: number } }; train: { measures: object } };
    expect(memory).toMatchObject({ budget: { bytes: 15e6, origin: 'given' }, measures: { checkpointBlocks: true } });
    expect(memory.measures).toEqual({ ...settings.measures, precision: 'f32' });
    const steps = readFileSync(join(cwd, 'run', 'metrics.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { gpuBytes?: number });
    for (const { gpuBytes = 0 } of steps) expect(gpuBytes).toBeLessThanOrEqual(memory.count.peakBytes);
    const resumed = await command.run(['train', '--resume', 'run'], { cwd });
    expect(resumed.code, resumed.err).toBe(0);
    expect(planLine(resumed.err)).toBe(planLine(err));
  }, limit);

  it('ends with the least that would do, before it makes a run', async () => {
    const finished = await command.run([...train, '--out', 'none', '--memory', '5MB'], { cwd });
    expectError(finished, /train: --memory gives 5 MB, but the run needs at least \d+ MB with .*; take --memory \d+MB, or --batch 1 --virtual-batch 2/);
    expect(() => readFileSync(join(cwd, 'none', 'config.json'))).toThrow('ENOENT');
  }, limit);

  it('wants a unit', async () => {
    const { code, err } = await command.run([...train, '--memory', '5'], { cwd, gpu: false });
    expect(code).toBe(2);
    expect(err).toMatch(/It must be a size above 0 with its unit/);
  }, limit);
});
