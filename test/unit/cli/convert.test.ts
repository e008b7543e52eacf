import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeSafetensors } from '../../../src/train/safetensors.ts';
import { buildCommandLine, type CommandLine } from '../../support/command-line.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/data/weights/${name}`, import.meta.url));

describe('ct-lite convert', () => {
  let commandLine: CommandLine;
  let folder: string;
  beforeAll(async () => {
    commandLine = await buildCommandLine('convert');
    folder = mkdtempSync(join(tmpdir(), 'ct-lite-convert-'));
  });
  afterAll(async () => {
    await commandLine.remove();
    rmSync(folder, { recursive: true });
  });
  const run = (...args: string[]): ReturnType<CommandLine['run']> => commandLine.run(['convert', ...args], { gpu: false });

  it('lists what is in a checkpoint', async () => {
    const { code, out } = await run(fixture('training.pt'));
    expect(code).toBe(0);
    expect(out).toContain('0.weight\tF32\t[2, 3]\n');
    expect(out).toContain('1.num_batches_tracked\tI64\t[]\n');
    expect(out).toMatch(/7 tensors, 0\.0 MiB\n$/);
  });

  it('writes safetensors in f16', async () => {
    const to = join(folder, 'a.safetensors');
    const { code, out } = await run(fixture('training.pt'), '--out', to, '--dtype', 'f16');
    expect({ code, out }).toEqual({ code: 0, out: `7 tensors, 17 elements: ${to}\n` });
    const { tensors, metadata } = decodeSafetensors(new Uint8Array(readFileSync(to)), to);
    expect(metadata).toEqual({ format: 'pt' });
    expect(tensors['0.weight']).toMatchObject({ dtype: 'F16', shape: [2, 3] });
    expect(tensors['1.num_batches_tracked']!.dtype).toBe('I64');
  });

  it('refuses what is no checkpoint and a target that is the source, and leaves nothing behind', async () => {
    const evil = await run(fixture('evil.pt'), '--out', join(folder, 'evil.safetensors'));
    expect(evil.code).toBe(1);
    expect(evil.err).toContain('it names "posix.system"');
    const same = await run(fixture('training.pt'), '--out', fixture('training.pt'));
    expect(same.err).toMatch(/--out .*training\.pt: is the file that is read; choose another name/);
    writeFileSync(join(folder, 'mine.safetensors'), 'mine');
    const taken = await run(fixture('training.pt'), '--out', join(folder, 'mine.safetensors'));
    expect([taken.code, taken.err]).toEqual([1, expect.stringContaining('mine.safetensors: a file of that name is there already; choose another, or remove it')]);
    expect(readFileSync(join(folder, 'mine.safetensors'), 'utf8')).toBe('mine');
    rmSync(join(folder, 'mine.safetensors'));
    expect(readdirSync(folder).filter((name) => name !== 'a.safetensors')).toEqual([]);
    expect(existsSync('evil-was-here')).toBe(false);
  });
});
