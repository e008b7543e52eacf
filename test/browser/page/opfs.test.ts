/** The origin private file system as src/data and src/train see it. Runs in a page. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/data/index.ts';
import { openPrivateFiles } from '../../../src/platform/browser-files.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = async (files: FileSystem, path: string): Promise<string> => new TextDecoder().decode(await files.readFile(path));

describe('files in the origin private file system', () => {
  let files: FileSystem;
  beforeEach(async () => {
    files = await openPrivateFiles();
    await files.remove('test');
    await files.makeDirectory('test/deep/er');
  });

  it('are written whole, replaced, appended to and read', async () => {
    await files.writeFile('test/a.txt', bytes('a longer text'));
    await files.writeFile('test/a.txt', bytes('short'));
    expect(await text(files, 'test/a.txt')).toBe('short');
    await files.appendFile('test/log', 'one\n');
    await files.appendFile('test/log', 'two\n');
    expect(await text(files, 'test/log')).toBe('one\ntwo\n');
    await files.writeFile('test/empty', new Uint8Array());
    expect((await files.readFile('test/empty')).length).toBe(0);
  });

  it('are seen as before by who reads while they are written', async () => {
    await files.writeFile('test/checkpoint', new Uint8Array(1_000_000).fill(1));
    const writing = files.writeFile('test/checkpoint', new Uint8Array(2_000_000).fill(2));
    const during = await files.readFile('test/checkpoint');
    expect([1_000_000, 2_000_000]).toContain(during.length);
    expect(new Set(during).size).toBe(1);
    await writing;
    expect((await files.readFile('test/checkpoint'))[1_999_999]).toBe(2);
  });

  it('are listed with kinds and sizes, and removed with what is below them', async () => {
    await files.writeFile('test/a.txt', bytes('abc'));
    expect((await files.list('test')).sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: 'a.txt', kind: 'file', bytes: 3 },
      { name: 'deep', kind: 'directory', bytes: 0 },
    ]);
    expect([await files.exists('test/deep'), await files.exists('test/a.txt'), await files.exists('test/none'), await files.exists('none/at/all'), await files.exists('test/a.txt/below')]).toEqual([true, true, false, false, false]);
    await files.remove('test/deep');
    await files.remove('test/deep');
    expect(await files.exists('test/deep')).toBe(false);
    expect(files.join('a', './b', 'c.txt')).toBe('a/b/c.txt');
  });

  it('are named by errors, with what to do', async () => {
    await expect(files.readFile('test/none')).rejects.toThrow('readFile: test/none: no such file or folder (NotFoundError)');
    await expect(files.readFile('test/deep')).rejects.toThrow('readFile: test/deep: a file is where a folder is needed, or the other way round (TypeMismatchError)');
    await expect(files.writeFile('test/none/a', bytes('a'))).rejects.toThrow('writeFile: test/none/a: no such file');
    await expect(files.readFile('../elsewhere')).rejects.toThrow("must not hold '..'");
  });
});
