import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LABELS, shardOf, writeNiftiGz } from '../../../src/data/index.ts';
import { buildCommandLine, type CommandLine, type Finished } from '../../support/command-line.ts';

const limit = 180_000;
const ids = Array.from({ length: 14 }, (_, n) => `scan${String(n).padStart(2, '0')}`);

/** A body of water in air with a lung of its own size. */
function scanBytes(n: number): Uint8Array {
  const hu = new Int16Array(12 * 40 * 40).map((_, at) => {
    const [y, x] = [Math.floor(at / 40) % 40, at % 40];
    const lung = Math.hypot(y - 20, Math.abs(x - 20) - 8) < 4 + (n % 3);
    return Math.hypot(y - 20, x - 20) > 17 ? -1000 : lung ? -800 : 40 + 3 * n;
  });
  return writeNiftiGz({ hu, shape: [12, 40, 40], spacingMm: [25, 8, 8] }, { level: 1 });
}

describe('shards and eval on the command line', () => {
  let command: CommandLine;
  let cwd: string;
  const at = (...parts: string[]): string => join(cwd, ...parts);
  const run = async (args: string[], options: { gpu?: boolean } = {}): Promise<Finished> => command.run(args, { cwd, ...options });
  const done = async (args: string[], options?: { gpu?: boolean }): Promise<string> => {
    const { code, out, err } = await run(args, options);
    expect(code, err).toBe(0);
    return out;
  };
  const losses = (folder: string): unknown[] => readFileSync(at(folder, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { kind: string; losses?: unknown }).flatMap(({ kind, losses: each }) => (kind === 'step' ? [each] : []));

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-shards-'));
    command = await buildCommandLine('shards');
    mkdirSync(at('scans'));
    ids.forEach((id, n) => writeFileSync(at('scans', `${id}.nii.gz`), scanBytes(n)));
    writeFileSync(at('scans', 'reports.csv'), ['VolumeName,Findings_EN', ...ids.map((id, n) => `${id}.nii.gz,"${n % 2 ? 'There is an effusion.' : 'No effusion.'} Scan ${n}."`)].join('\n'));
    writeFileSync(at('scans', 'labels.csv'), [['VolumeName', ...LABELS].join(','), ...ids.map((id, n) => [`${id}.nii.gz`, ...LABELS.map((_, label) => (n + label) % 2)].join(','))].join('\n'));
    await done(['prepare', '--data', 'scans', '--out', 'folder'], { gpu: false });
    for (const shard of [0, 1, 2]) await done(['prepare', '--data', 'scans', '--out', 'shards', '--shard', `${shard}/3`], { gpu: false });
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  it('shards hold the volumes that prepare makes, and nothing half done is left', () => {
    expect(readdirSync(at('shards')).sort()).toEqual(['prepare.json', ...[0, 1, 2].flatMap((n) => [`shard-00000${n}.json`, `shard-00000${n}.tar`])]);
    for (const shard of [0, 1, 2]) {
      const summary = JSON.parse(readFileSync(at('shards', `shard-00000${shard}.json`), 'utf8')) as { scans: number };
      expect(summary).toMatchObject({ shard, of: 3, scans: ids.filter((id) => shardOf(id, 3) === shard).length, failed: [] });
    }
    const tar = readFileSync(at('shards', `shard-00000${shardOf('scan05', 3)}.tar`));
    expect(tar.includes(readFileSync(at('folder', 'compressed', 'scan05.zip')))).toBe(true);
  });

  it('a shard that is there is left alone; one that was broken off goes on to the same bytes', async () => {
    const path = at('shards', 'shard-000001.tar');
    const whole = readFileSync(path);
    expect(await done(['prepare', '--data', 'scans', '--out', 'shards', '--shard', '1/3'], { gpu: false })).toContain('is there already');
    // As after a kill: one scan compressed, the next being written, no archive.
    const first = ids.find((id) => shardOf(id, 3) === 1)!;
    rmSync(path);
    mkdirSync(at('shards', 'shard-000001.partial'));
    writeFileSync(at('shards', 'shard-000001.partial', `${first}.zip`), readFileSync(at('folder', 'compressed', `${first}.zip`)));
    writeFileSync(at('shards', 'shard-000001.partial', 'next.zip.0.tmp'), 'half');
    await done(['prepare', '--data', 'scans', '--out', 'shards', '--shard', '1/3'], { gpu: false });
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(existsSync(at('shards', 'shard-000001.partial'))).toBe(false);
  }, limit);

  it.each([
    [['--shard', '3/3'], 2, /shard i \(from 0 to n − 1\) of n, got '3\/3'/],
    [['--shard', 'x'], 2, /got 'x'/],
    [['--shard', '0/2'], 1, /prepared with .*"shards": 3.*wanted .*"shards": 2/],
    [['--shard', '0/3', '--keep-hu'], 1, /give --shard or --keep-hu/],
  ])('prepare %j is refused', async (flags, code, message) => {
    const finished = await run(['prepare', '--data', 'scans', '--out', 'shards', ...flags], { gpu: false });
    expect(finished.code).toBe(code);
    expect(finished.err).toMatch(message);
  }, limit);

  it('training on a pattern of shards is training on the folder, step by step', async () => {
    const more = ['--steps', '3', '--batch', '2'];
    await done(['train', '--data', 'folder', '--out', 'run-folder', ...more]);
    await done(['train', '--data', 'shards/shard-*.tar', '--out', 'run-shards', ...more]);
    expect(losses('run-shards')).toHaveLength(3);
    expect(losses('run-shards')).toEqual(losses('run-folder'));
    const { code, err } = await run(['train', '--data', 'shards/none-*.tar', '--out', 'none']);
    expect([code, err]).toEqual([1, expect.stringContaining('no file fits the pattern')]);
  }, limit);

  it('eval of shards is eval of the folder; its scores give the same figures again, and compare with another run', async () => {
    writeFileSync(at('prompts.csv'), 'label,positive,negative\nCardiomegaly,The heart is large.,The heart is normal.\nEmphysema,Emphysema.,No emphysema.\n');
    const flags = ['--prompts', 'prompts.csv', '--resamples', '50'];
    await done(['eval', '--checkpoint', 'run-folder', '--data', 'folder', '--out', 'eval-folder', ...flags]);
    await done(['eval', '--checkpoint', 'run-folder', '--data', 'shards', '--compare', 'run-folder', '--compare-model', 'teacher', '--out', 'eval-shards', ...flags]);
    const scores = readFileSync(at('eval-folder', 'scores.csv'), 'utf8');
    expect(scores.split('\n')[0]).toBe('id,patient,split,Cardiomegaly,Emphysema');
    expect(readFileSync(at('eval-shards', 'scores.csv'), 'utf8')).toBe(scores);
    const out = await done(['eval', '--scores', 'eval-folder', '--labels', 'eval-folder/truths.csv', '--compare', 'eval-shards', '--out', 'again', '--json', '--resamples', '50'], { gpu: false });
    type Json = { mean: object; labels: object[]; comparison: { b: string; mean: { test: { difference: number } | null } }; retrieval: object | null };
    const [first, again] = [JSON.parse(readFileSync(at('eval-shards', 'evaluation.json'), 'utf8')) as Json, JSON.parse(out) as Json];
    expect(again.mean).toEqual(first.mean);
    expect(again.labels).toEqual(first.labels);
    expect(first.comparison.b).toBe('run-folder teacher');
    expect(first.retrieval).not.toBeNull();
    expect(again.retrieval).toBeNull();
    expect(readFileSync(at('again', 'evaluation.html'), 'utf8')).toContain('Evaluation of eval-folder');
  }, limit);

  it('eval says what it needs, and writes prompts to start from', async () => {
    const refuse = async (args: string[], message: string): Promise<void> => {
      const { code, err } = await run(['eval', ...args], { gpu: false });
      expect([code, err]).toEqual([1, expect.stringContaining(message)]);
    };
    await refuse([], 'needs --checkpoint and --data, or --scores and --labels');
    await refuse(['--scores', 'eval-folder'], '--scores needs --labels');
    await refuse(['--scores', 'absent.csv', '--labels', 'scans/labels.csv'], 'absent.csv');
    await refuse(['--scores', 'eval-folder', '--labels', 'scans/labels.csv', '--compare', 'run-folder'], 'must be a scores CSV');
    // One scan of a class has no variance: that nothing was compared is said, not left out.
    writeFileSync(at('few.csv'), 'id,Emphysema\na,0.2\nb,0.4\nc,0.9\n');
    writeFileSync(at('few-truths.csv'), 'id,Emphysema\na,0\nb,0\nc,1\n');
    expect(await done(['eval', '--scores', 'few.csv', '--labels', 'few-truths.csv', '--compare', 'few.csv', '--split', 'all', '--out', 'few', '--resamples', '10'], { gpu: false })).toContain('not compared: no label has two scans of each class');
    expect(await done(['eval', '--write-prompts', 'default.json'], { gpu: false })).toContain('default.json');
    expect(JSON.parse(readFileSync(at('default.json'), 'utf8'))).toHaveLength(18);
    await refuse(['--write-prompts', 'default.json'], 'is there already');
  }, limit);
});
