import { spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTar, tarEnd, tarHeader, tarPadding, type TarEntry } from '../../../src/data/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'ct-lite-tar-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const hasTar = spawnSync('tar', ['--version']).stdout?.toString().includes('GNU tar') ?? false;

const longName = `${'long'.repeat(40)}.zip`;
/** Sizes about a block, and names about the header's 100 bytes, with letters of two bytes. */
const files: [string, number][] = [['a.json', 0], ['a.zip', 1], ['b.json', 511], ['b.zip', 512], ['ü.zip', 513], [`${'x'.repeat(100)}`, 3], [`${'y'.repeat(101)}`, 4], [longName, 20_000]];
const content = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, n) => (n * 7 + size) % 251);

function archive(): Uint8Array {
  return Buffer.concat([...files.flatMap(([name, size]) => [tarHeader(name, size), content(size), tarPadding(size)]), tarEnd()]);
}

async function entries(bytes: Uint8Array): Promise<TarEntry[]> {
  const found: TarEntry[] = [];
  for await (const entry of readTar(async (offset, size) => bytes.subarray(offset, offset + size), 'x.tar')) found.push(entry);
  return found;
}

describe('tar', () => {
  const ours = archive();

  it('is read as it was written, content by offset', async () => {
    const found = await entries(ours);
    expect(found.map(({ name, bytes }) => [name, bytes])).toEqual(files);
    for (const { offset, bytes } of found) expect(ours.subarray(offset, offset + bytes)).toEqual(Buffer.from(content(bytes)));
  });

  it.skipIf(!hasTar)('is taken by GNU tar', () => {
    writeFileSync(join(folder, 'ours.tar'), ours);
    mkdirSync(join(folder, 'out'));
    const { status, stderr } = spawnSync('tar', ['-xf', join(folder, 'ours.tar'), '-C', join(folder, 'out')]);
    expect(stderr.toString()).toBe('');
    expect(status).toBe(0);
    for (const [name, size] of files) expect(readFileSync(join(folder, 'out', name))).toEqual(Buffer.from(content(size)));
  });

  it.skipIf(!hasTar).each(['ustar', 'pax', 'gnu'])('of GNU tar in format %s is read', async (format) => {
    const root = join(folder, format);
    const names = ['a.json', 'deep/er/b.zip', ...(format === 'ustar' ? [`${'d'.repeat(60)}/${'e'.repeat(60)}`] : [longName])];
    for (const name of names) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), content(600));
    }
    const made = spawnSync('tar', [`--format=${format}`, '-cf', join(folder, `${format}.tar`), '-C', root, ...names]);
    expect(made.status, made.stderr.toString()).toBe(0);
    const bytes = readFileSync(join(folder, `${format}.tar`));
    const found = await entries(bytes);
    expect(found.map(({ name }) => name)).toEqual(names);
    for (const { offset } of found) expect(bytes.subarray(offset, offset + 600)).toEqual(Buffer.from(content(600)));
  });

  it('may be empty', async () => expect(await entries(tarEnd())).toEqual([]));

  it.each([
    ['cut in a header', ours.subarray(0, 700), /breaks off after/],
    ['cut in a content', ours.subarray(0, ours.length - 15_000), /breaks off/],
    ['without an end', ours.subarray(0, ours.length - 1024), /breaks off/],
    ['of another kind', Uint8Array.from({ length: 2048 }, (_, n) => n % 256), /this is no tar archive/],
    ['with a damaged header', ours.map((value, at) => (at === 512 * 3 + 5 ? value ^ 1 : value)), /checksum is wrong/],
  ])('%s is refused', async (_, bytes, message) => expect(entries(bytes)).rejects.toThrow(message));
});
