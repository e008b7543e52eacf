import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { expandShards } from '../../../src/platform/node-shards.ts';

const folder = mkdtempSync(join(tmpdir(), 'ct-lite-glob-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
for (const n of [10, 2, 0, 1]) writeFileSync(join(folder, `shard-${String(n).padStart(6, '0')}.tar`), '');
writeFileSync(join(folder, 'prepare.json'), '{}');
mkdirSync(join(folder, 'odd[1]'));
const names = async (pattern: string): Promise<string[] | undefined> => (await expandShards(join(folder, pattern)))?.map((path) => basename(path));

describe('expandShards', () => {
  it('gives what fits, sorted, as a path of the same kind', async () => {
    expect(await names('shard-*.tar')).toEqual(['shard-000000.tar', 'shard-000001.tar', 'shard-000002.tar', 'shard-000010.tar']);
    expect(await names('shard-{000001..000002}.tar')).toEqual(['shard-000001.tar', 'shard-000002.tar']);
    expect(await expandShards(join(folder, 'shard-000010.ta?'))).toEqual([join(folder, 'shard-000010.tar').replaceAll('\\', '/')]);
    expect(await expandShards(relative(process.cwd(), join(folder, 'shard-*2.tar')))).toEqual([relative(process.cwd(), join(folder, 'shard-000002.tar')).replaceAll('\\', '/')]);
  });
  it('leaves alone what is there, whatever its name, and what is no pattern', async () => {
    for (const path of ['.', 'shard-000001.tar', 'odd[1]', 'not-there']) expect(await expandShards(join(folder, path))).toBeNull();
  });
  it('says where nothing fits, or other files do', async () => {
    await expect(names('shard-{000002..000003}.tar')).rejects.toThrow(/shard-000003\.tar: is missing, the range names it/);
    await expect(names('shard-{3..1}.tar')).rejects.toThrow('a range must rise');
    await expect(names('none-*.tar')).rejects.toThrow('no file fits the pattern');
    await expect(names('*')).rejects.toThrow('a pattern must fit shards (.tar) only');
  });
});
