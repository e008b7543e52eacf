import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder } from '../../../src/platform/cache-folder.ts';
import { nodeTuningStore } from '../../../src/platform/node-tuning-store.ts';

describe('cacheFolder', () => {
  const cases: [what: string, env: Record<string, string>, platform: string, folder: string][] = [
    ['the folder named for ct-lite', { CT_LITE_CACHE: '/scratch/plans', XDG_CACHE_HOME: '/cache' }, 'linux', '/scratch/plans'],
    ['the XDG folder', { XDG_CACHE_HOME: '/cache' }, 'linux', '/cache/ct-lite'],
    ['no relative XDG folder', { XDG_CACHE_HOME: 'cache' }, 'linux', '/home/a/.cache/ct-lite'],
    ['~/.cache', {}, 'linux', '/home/a/.cache/ct-lite'],
    ["macOS's folder", {}, 'darwin', '/home/a/Library/Caches/ct-lite'],
    ["Windows's folder", {}, 'win32', '/home/a/AppData/Local/ct-lite'],
  ];
  it.each(cases)('is %s', (_, env, platform, folder) => {
    expect(cacheFolder(env, platform, '/home/a')).toBe(folder);
  });
});

describe('nodeTuningStore', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ct-lite-plans-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('keeps texts by name across stores, in a folder that it makes, and leaves no other file', async () => {
    const deep = join(folder, 'a', 'b');
    expect(await nodeTuningStore(deep).read('one')).toBe(null);
    await nodeTuningStore(deep).write('one', 'first');
    await nodeTuningStore(deep).write('one', 'second');
    await nodeTuningStore(deep).write('two', 'other');
    expect([await nodeTuningStore(deep).read('one'), await nodeTuningStore(deep).read('two')]).toEqual(['second', 'other']);
    expect((await readdir(deep)).sort()).toEqual(['one.json', 'two.json']);
  });

  it('names the path where it cannot write', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(nodeTuningStore(join(folder, 'file')).write('one', 'text')).rejects.toThrow(`${join(folder, 'file')}:`);
  });
});
