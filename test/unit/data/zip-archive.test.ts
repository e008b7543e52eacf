import { strToU8, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { openZip } from '../../../src/data/zip-archive.ts';

const LIMITS = { entries: 5, entryBytes: 10_000 };
const open = (zip: Uint8Array) => openZip(zip, 'a.zip', LIMITS);
const FILES = { 'a.txt': strToU8('hello '.repeat(50)), 'folder/': new Uint8Array(0), 'b/ü.txt': strToU8('x') };

describe('openZip', () => {
  it.each([0, 9] as const)('gives the entries of a ZIP of level %i, folders left out', (level) => {
    const entries = open(zipSync(FILES, { level }));
    expect(entries.map(({ name, bytes }) => [name, bytes])).toEqual([['a.txt', 300], ['b/ü.txt', 1]]);
    expect(entries.map((entry) => entry.read())).toEqual([FILES['a.txt'], FILES['b/ü.txt']]);
  });

  it('reads what ZIP64 fields say, as some tools write them into small archives', () => {
    const zip = zipSync({ a: strToU8('abc') }, { level: 0 });
    const at = zip.findIndex((_, i) => zip[i] === 0x50 && zip[i + 1] === 0x4b && zip[i + 2] === 1 && zip[i + 3] === 2);
    const field = new Uint8Array(20);
    const view = new DataView(field.buffer);
    [1, 16].forEach((value, i) => view.setUint16(2 * i, value, true));
    view.setBigUint64(4, 3n, true);
    view.setBigUint64(12, 3n, true);
    const out = new Uint8Array([...zip.subarray(0, at + 47), ...field, ...zip.subarray(at + 47)]);
    const edit = new DataView(out.buffer);
    edit.setUint32(at + 20, 0xffffffff, true);
    edit.setUint32(at + 24, 0xffffffff, true);
    edit.setUint16(at + 30, 20, true);
    expect(open(out)[0]!.read()).toEqual(strToU8('abc'));
  });

  it('finds a flipped bit anywhere in an entry', () => {
    for (const level of [0, 9] as const) {
      const zip = zipSync({ a: strToU8('abcdefgh'.repeat(9)) }, { level });
      for (let at = 31; at < 31 + (level === 0 ? 72 : 10); at++) {
        const damaged = zip.slice();
        damaged[at]! ^= 4;
        expect(() => open(damaged)[0]!.read(), `level ${level}, byte ${at}`).toThrow(/^a\.zip: a: the entry is damaged/);
      }
    }
  });

  const patched = (offset: number, value: number, bytes: 2 | 4 = 4): Uint8Array => {
    const zip = zipSync({ a: strToU8('abc'.repeat(99)) });
    const at = zip.findIndex((_, i) => zip[i] === 0x50 && zip[i + 1] === 0x4b && zip[i + 2] === 1 && zip[i + 3] === 2);
    const view = new DataView(zip.buffer, zip.byteOffset);
    if (bytes === 2) view.setUint16(at + offset, value, true);
    else view.setUint32(at + offset, value, true);
    return zip;
  };
  it.each<[string, Uint8Array, string]>([
    ['an encrypted entry', patched(8, 1, 2), 'a.zip: a: the entry is encrypted; unpack the ZIP with its password'],
    ['another compression', patched(10, 12, 2), 'only stored and deflated entries are read, got compression method 12'],
    ['a size over the limit', patched(24, 20_000), 'it says it has 20000 bytes, at most 10000 are read'],
    ['a size that deflate cannot reach', patched(24, 9_999_999), 'at most 10000 are read'],
    ['a size that is too small', patched(24, 200), 'the entry is damaged'],
    ['a place outside', patched(42, 1_000_000), 'the entry is damaged (its place is wrong)'],
    ['a compressed size beyond the end', patched(20, 1_000_000), 'its entries overlap or are cut off'],
    ['too many entries', zipSync(Object.fromEntries(Array.from({ length: 6 }, (_, i) => [String(i), new Uint8Array(1)]))), 'a.zip: at most 5 entries are read, the ZIP has 6'],
    ['half a ZIP', zipSync(FILES).subarray(0, 100), 'not a readable ZIP (it has no directory at its end'],
    ['nothing', new Uint8Array(0), 'not a readable ZIP'],
  ])('refuses %s', (_, zip, message) => expect(() => open(zip).map((entry) => entry.read())).toThrow(message));
});
