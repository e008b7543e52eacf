import { readFileSync } from 'node:fs';
import { unzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { readNpz, scanFormat } from '../../../src/data/index.ts';

const fixture = JSON.parse(readFileSync('test/fixtures/data/npz.json', 'utf8')) as {
  shape: [number, number, number]; values: number[]; files: Record<string, string>; refused: Record<string, string>;
};
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
const int16 = bytesOf(fixture.files['int16']!);

describe('readNpz', () => {
  it.each(Object.entries(fixture.files))('reads what numpy wrote: %s', (_, text) => {
    const bytes = bytesOf(text);
    expect(scanFormat(bytes, 'x')).toBe('npz');
    const { hu, shape, spacingMm, warnings } = readNpz(bytes, 'trn00001.npz');
    expect(shape).toEqual(fixture.shape);
    expect(spacingMm).toEqual([0.8, 0.8, 0.8]);
    expect(warnings.join()).not.toContain('geometry');
    // The first slice of the file is the most superior one: last here.
    const slice = 20;
    expect([...hu]).toEqual([2, 1, 0].flatMap((d) => fixture.values.slice(d * slice, (d + 1) * slice)));
  });

  it('says that the geometry is taken for granted where the name is not Rad-ChestCT\'s', () => {
    expect(readNpz(int16, 'mine.npz').warnings.join()).toContain("an .npz carries no geometry: taken as Rad-ChestCT's");
  });

  it.each([
    ['fortran', 'must be in C order'], ['two dimensions', 'must be [slices, rows, columns], 1 to 2048 each and 268435456 voxels at most, got [4, 5]'],
    ['complex', "got '<c8'"], ['text', "got '<U1'"], ['two arrays', "must be called 'ct' or be the only one, found 'a.npy', 'b.npy'"], ['empty', 'got [0, 4, 5]'],
  ])('refuses %s', (name, message) => expect(() => readNpz(bytesOf(fixture.refused[name]!), 'x.npz')).toThrow(message));

  const npy = unzipSync(int16)['ct.npy']!;
  const zipped = (content: Uint8Array): Uint8Array => zipSync({ 'ct.npy': content });
  it.each([
    ['a header that lies about the shape', zipped(Buffer.from(Buffer.from(npy).toString('latin1').replace('(3, 4, 5)', '(9, 4, 5)'), 'latin1')), 'the header asks for 360 bytes of voxels, the array has 120'],
    ['a shape beyond any scan', zipped(Buffer.from(Buffer.from(npy).toString('latin1').replace('(3, 4, 5), }      ', '(2048,2048,2048),}'), 'latin1')), 'at most'],
    ['a cut array', zipped(npy.subarray(0, npy.length - 2)), 'the header asks for 120 bytes of voxels, the array has 118'],
    ['a cut header', zipped(npy.subarray(0, 20)), 'cut or damaged'],
    ['no .npy inside', zipped(Uint8Array.of(1, 2, 3)), 'the array is no .npy'],
    ['a cut file', int16.subarray(0, int16.length - 30), 'not a readable .npz'],
  ])('refuses %s', (_, bytes, message) => expect(() => readNpz(bytes, 'x.npz')).toThrow(message));

  it('ends in a volume or a clear error for 2000 mutated files', () => {
    let state = 12345;
    const next = (below: number): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % below;
    let read = 0;
    for (let n = 0; n < 2000; n += 1) {
      const bytes = int16.slice();
      for (let flips = 1 + next(4); flips > 0; flips -= 1) bytes[next(bytes.length)] = next(256);
      try {
        readNpz(bytes, 'x.npz');
        read += 1;
      } catch (error) {
        expect((error as Error).message).toMatch(/^readNpz: x\.npz: /);
      }
    }
    expect(read).toBeLessThan(2000);
  });
});
