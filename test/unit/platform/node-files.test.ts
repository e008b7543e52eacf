import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/data/file-system.ts';
import { nodeFiles, writeFileParts } from '../../../src/platform/node-files.ts';

const files: FileSystem = nodeFiles;
const bytes = (text: string) => new TextEncoder().encode(text);
let folder: string;
/** This module as one file, for children that run as another user or under a limit. */
let bundle: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ct-lite-files-'));
  chmodSync(folder, 0o755);
  bundle = join(folder, 'node-files.mjs');
  await build({ entryPoints: ['src/platform/node-files.ts'], bundle: true, platform: 'node', format: 'esm', outfile: bundle });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `code`, which sees `files`, in a child; gives the message of what it threw, or "done". */
function inChild(code: string, options: { uid?: number; shell?: string } = {}): string {
  const script = join(folder, 'child.mjs');
  writeFileSync(script, `import { nodeFiles as files } from ${JSON.stringify(bundle)};\ntry { ${code}; console.log('done'); } catch (error) { console.log(error.message); }`);
  const command = `${options.shell ?? ''} "${process.execPath}" "${script}"`;
  const child = spawnSync('bash', ['-c', command], { encoding: 'utf8', uid: options.uid, cwd: '/' });
  return child.stdout.trim() || child.stderr;
}

describe('nodeFiles', () => {
  it('writes, reads, appends, lists, removes', async () => {
    const deep = files.join(folder, 'a', 'b');
    await files.makeDirectory(deep);
    await files.makeDirectory(deep);
    const path = files.join(deep, 'x.bin');
    expect(await files.exists(path)).toBe(false);
    await files.writeFile(path, new Uint8Array([1, 2, 3]));
    await files.writeFile(path, new Uint8Array([4, 5]));
    expect(await files.readFile(path)).toEqual(new Uint8Array([4, 5]));
    await files.appendFile(files.join(deep, 'log'), 'one\n');
    await files.appendFile(files.join(deep, 'log'), 'two\n');
    expect(readFileSync(join(deep, 'log'), 'utf8')).toBe('one\ntwo\n');
    symlinkSync(join(folder, 'nowhere'), join(deep, 'dangling'));
    expect(await files.list(deep)).toEqual([
      { name: 'log', kind: 'file', bytes: 8 },
      { name: 'x.bin', kind: 'file', bytes: 2 },
    ]);
    expect(await files.list(files.join(folder, 'a'))).toEqual([{ name: 'b', kind: 'directory', bytes: 0 }]);
    expect(await files.exists(files.join(path, 'below a file'))).toBe(false);
    await files.remove(files.join(folder, 'a'));
    await files.remove(files.join(folder, 'a'));
    expect(existsSync(join(folder, 'a'))).toBe(false);
  });

  it('gives plain Uint8Arrays over their own bytes', async () => {
    const path = join(folder, 'plain');
    await files.writeFile(path, bytes('abc'));
    const read = await files.readFile(path);
    expect(read.constructor).toBe(Uint8Array);
    expect(new TextDecoder().decode(read)).toBe('abc');
  });

  it.each([
    ['readFile', () => files.readFile(join(folder, 'no/file')), /^readFile: .*no\/file: no such file or folder; check the path \(ENOENT\)$/],
    ['writeFile', () => files.writeFile(join(folder, 'no/file'), bytes('')), /^writeFile: .*no\/file: no such file or folder; .*ENOENT/],
    ['list', () => files.list(join(folder, 'no')), /^list: .*ENOENT/],
    ['readFile of a folder', () => files.readFile(folder), /it is a folder, a file is needed; check the path \(EISDIR\)$/],
    ['makeDirectory below a file', () => files.makeDirectory(join(bundle, 'x')), /a part of the path is a file.*ENOTDIR/],
  ])('names path and remedy: %s', async (_, act, message) => {
    await expect(act()).rejects.toThrow(message);
    await expect(act()).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  });

  it.skipIf(!existsSync('/dev/full'))('says that the disk is full', async () => {
    await expect(files.appendFile('/dev/full', 'x')).rejects.toThrow('appendFile: /dev/full: the disk is full; free some space, or choose a folder on another disk (ENOSPC)');
  });

  it.skipIf(process.platform !== 'linux')('keeps the old file and leaves no rests when a write breaks off in the middle', () => {
    const place = mkdtempSync(join(folder, 'limited-'));
    const path = join(place, 'checkpoint');
    writeFileSync(path, 'old');
    // A file-size limit of 64 KiB stops the write as a full disk does, after some of it was written.
    const said = inChild(`await files.writeFile(${JSON.stringify(path)}, new Uint8Array(2 ** 20))`, { shell: 'ulimit -f 64;' });
    expect(said).toMatch(/^writeFile: .*checkpoint: the file is larger than .*\(EFBIG\)$/);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(place)).toEqual(['checkpoint']);
  });

  const mountable = process.platform === 'linux' && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
  it.skipIf(!mountable)('keeps the old file on a disk that is really full', () => {
    const place = mkdtempSync(join(folder, 'small-disk-'));
    const path = join(place, 'checkpoint');
    const code = `await files.writeFile(${JSON.stringify(path)}, new Uint8Array(9));
      let said; try { await files.writeFile(${JSON.stringify(path)}, new Uint8Array(2 ** 20)); } catch (error) { said = error.message; }
      const left = await files.list(${JSON.stringify(place)}); throw new Error(said + ' | ' + JSON.stringify(left))`;
    const said = inChild(code, { shell: `exec unshare -m bash -c 'mount -t tmpfs -o size=128k none "${place}" && exec "$0" "$@"'` });
    expect(said).toMatch(/the disk is full; .*\(ENOSPC\) \| \[\{"name":"checkpoint","kind":"file","bytes":9\}\]$/);
  });

  it('says that a folder is not writable', () => {
    const place = mkdtempSync(join(folder, 'closed-'));
    chmodSync(place, 0o555);
    // Root may write everywhere: then the child runs as nobody.
    const uid = process.getuid?.() === 0 ? 65534 : undefined;
    const said = inChild(`await files.writeFile(${JSON.stringify(join(place, 'x'))}, new Uint8Array(1))`, { uid });
    expect(said).toMatch(/^writeFile: .*: this user may not do that there; choose a folder of your own, or change its permissions \(EACCES\)$/);
    expect(readdirSync(place)).toEqual([]);
  });

  it('names the path that failed, of a file written in parts and of a part\'s own source', async () => {
    const parts = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes('begun');
      yield await nodeFiles.readFile(join(folder, 'absent'));
    };
    await expect(writeFileParts(join(folder, 'parts'), parts())).rejects.toThrow(/^readFile: .*absent: no such file/);
    await expect(writeFileParts(join(folder, 'nowhere', 'parts'), [])).rejects.toThrow(/^writeFile: .*nowhere.parts: no such file or folder/);
    expect(readdirSync(folder).filter((name) => name.startsWith('parts'))).toEqual([]);
  });

  it('never shows half a file to a reader', async () => {
    const path = join(folder, 'shared');
    const [a, b] = [new Uint8Array(300_000).fill(1), new Uint8Array(200_000).fill(2)];
    await files.writeFile(path, a);
    const seen = new Set<string>();
    const writing = (async () => {
      for (let turn = 0; turn < 10; turn += 1) await files.writeFile(path, turn % 2 ? a : b);
    })();
    let running = true;
    void writing.finally(() => (running = false));
    while (running) {
      const read = await files.readFile(path);
      seen.add(`${read.length} of ${read[0]}, ${read.every((value) => value === read[0])}`);
    }
    await writing;
    for (const each of seen) expect(['300000 of 1, true', '200000 of 2, true']).toContain(each);
  });
});
