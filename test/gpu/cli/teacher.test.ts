import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainConfig } from '../../../src/train/index.ts';
import { buildCommandLine, type CommandLine } from '../../support/command-line.ts';

const teacher = fileURLToPath(new URL('../../fixtures/model/ct-clip-cube.safetensors', import.meta.url));

describe('ct-lite train --teacher', () => {
  let commandLine: CommandLine;
  let folder: string;
  beforeAll(async () => {
    commandLine = await buildCommandLine('teacher');
    folder = mkdtempSync(join(tmpdir(), 'ct-lite-teacher-'));
  });
  afterAll(async () => {
    await commandLine.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const run = (...args: string[]): ReturnType<CommandLine['run']> => commandLine.run(['train', ...args], { cwd: folder });

  it('distils CT-CLIP, and a second run finds the targets and never loads the teacher', { timeout: 240_000 }, async () => {
    const flags = ['--teacher', teacher, '--targets', 'targets', '--patients', '2', '--validation-patients', '0', '--steps', '2', '--batch', '2'];
    const first = await run(...flags, '--out', 'first');
    expect(first.code, first.err).toBe(0);
    expect(first.err).toMatch(/targets of 0 of (\d+) training scans are in targets/);
    expect(first.err).toContain('44 tensors used, 25 not');
    const count = Number(/targets of 0 of (\d+)/.exec(first.err)![1]);
    expect(readdirSync(join(folder, 'targets')).filter((name) => name.endsWith('.safetensors'))).toHaveLength(count);
    const { train } = JSON.parse(readFileSync(join(folder, 'first', 'config.json'), 'utf8')) as { train: TrainConfig };
    expect(train.teacher).toMatchObject({ grid: [4, 4, 4], width: 10, input: { shape: [8, 16, 16], spacingMm: [45, 22.5, 22.5] } });
    expect(Object.keys(train.stages)).toEqual(['fast', 'align']);

    const second = await run(...flags, '--out', 'second');
    expect(second.code, second.err).toBe(0);
    expect(second.err).toContain(`targets of ${count} of ${count} training scans are in targets`);
    expect(second.err).not.toContain('tensors used');
    const metrics = (name: string): unknown[] => readFileSync(join(folder, name, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as { losses?: unknown }).losses);
    expect(metrics('second')).toEqual(metrics('first'));
  });

  it('says what does not go together, and what is no teacher', async () => {
    expect((await run('--teacher', teacher, '--stage', 'teacher')).err).toContain('--stage teacher trains a teacher, --teacher takes one; leave one of them out');
    expect((await run('--targets', 'x')).err).toContain('--targets is where --teacher keeps what it computed; give --teacher too');
    expect((await run('--teacher', join(folder, 'none.pt'))).err).toMatch(/none\.pt: no such file/);
    const training = fileURLToPath(new URL('../../fixtures/data/weights/training.pt', import.meta.url));
    expect((await run('--teacher', training)).err).toContain('tensor "visual_transformer.to_patch_emb.2.weight" is missing; give a checkpoint of CT-CLIP');
  });
});
