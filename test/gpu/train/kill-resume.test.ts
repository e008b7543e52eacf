import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeSafetensors, parseMetrics, type StepRecord } from '../../../src/train/index.ts';
import { buildCommandLine, type CommandLine, type Finished } from '../../support/command-line.ts';

const limit = 240_000;
const steps = 9;
const train = ['train', '--patients', '6', '--validation-patients', '3', '--steps', String(steps), '--batch', '2', '--seed', '3'];

describe('the command line, killed and resumed', () => {
  let command: CommandLine;
  let cwd: string;
  let unbroken: object[];

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-kill-'));
    command = await buildCommandLine('kill');
    const { code, err } = await command.run([...train, '--out', 'unbroken'], { cwd });
    expect(code, err).toBe(0);
    unbroken = losses('unbroken');
    expect(unbroken).toHaveLength(steps);
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  const metricsFile = (run: string): string => join(cwd, run, 'metrics.jsonl');
  const records = (run: string): StepRecord[] => (existsSync(metricsFile(run)) ? parseMetrics(readFileSync(metricsFile(run))) : []).filter((record) => record.kind === 'step');
  const losses = (run: string): object[] => records(run).map(({ globalStep, stage, losses: values, gradientNorm, learningRate }) => ({ globalStep, stage, losses: values, gradientNorm, learningRate }));

  /** Starts a command and sends `signal` once its metrics hold `lines` steps; it may also have ended by itself before that. */
  async function breakOff(args: string[], run: string, lines: number, signal: NodeJS.Signals): Promise<Finished> {
    const running = command.start(args, { cwd });
    let ended = false;
    void running.finished.then(() => (ended = true));
    // A resumed run first rewinds its metrics: what counts are lines above those of the checkpoint.
    while (!ended && records(run).length < lines) await sleep(2);
    running.process.kill(signal);
    return running.finished;
  }

  /** Files are written whole or not at all; of metrics.jsonl the last line may be cut. */
  function expectWhole(run: string): void {
    for (const name of readdirSync(join(cwd, run)).filter((file) => !file.endsWith('.tmp'))) {
      const bytes = readFileSync(join(cwd, run, name));
      if (name.endsWith('.json')) JSON.parse(bytes.toString());
      else if (name.endsWith('.safetensors')) expect(Object.keys(decodeSafetensors(bytes, name).tensors).length).toBeGreaterThan(0);
      else if (name === 'metrics.jsonl') for (const line of bytes.toString().split('\n').slice(0, -1)) JSON.parse(line);
      else expect(name).toBe('report.html');
    }
  }

  it('by SIGKILL before its first checkpoint and again after it, gives the losses of the unbroken run', async () => {
    const first = await breakOff([...train, '--out', 'killed'], 'killed', 2, 'SIGKILL');
    expect(first.signal, first.err).toBe('SIGKILL');
    expectWhole('killed');
    const second = await breakOff(['train', '--resume', 'killed'], 'killed', steps - 1, 'SIGKILL');
    expect(second.signal, second.err).toBe('SIGKILL');
    expectWhole('killed');
    const last = await command.run(['train', '--resume', 'killed'], { cwd });
    expect(last.code, last.err).toBe(0);
    expect(last.err).toMatch(/resuming after step \d+ of 9/);
    expect(losses('killed')).toEqual(unbroken);
    expect(Buffer.compare(readFileSync(join(cwd, 'killed/checkpoint.safetensors')), readFileSync(join(cwd, 'unbroken/checkpoint.safetensors')))).toBe(0);
    expect(readdirSync(join(cwd, 'killed')).sort()).toEqual(['checkpoint.safetensors', 'config.json', 'evaluation.json', 'metrics.jsonl', 'report.html']);
    expectWhole('killed');
  }, limit);

  it('by Ctrl-C saves the step in progress, ends with 130 and says how to go on', async () => {
    const { code, err } = await breakOff([...train, '--out', 'stopped'], 'stopped', 2, 'SIGINT');
    expect(code, err).toBe(130);
    expect(err).toContain('go on with: node train.js --resume stopped');
    expectWhole('stopped');
    const saved = Number(/stopped after step (\d+); saved/.exec(err)?.[1]);
    expect(saved).toBeGreaterThanOrEqual(2);
    const resumed = await command.run(['train', '--resume', 'stopped'], { cwd });
    expect(resumed.code, resumed.err).toBe(0);
    expect(resumed.err).toContain(`resuming after step ${saved} of 9`);
    expect(losses('stopped')).toEqual(unbroken);
  }, limit);
});
