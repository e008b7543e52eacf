import { describe, expect, it } from 'vitest';
import { findCohortFiles } from '../../../src/data/index.ts';
import { listedBlob, listedFiles } from '../../../src/platform/browser-files.ts';

describe('listedFiles', () => {
  const file = (text: string) => ({ bytes: text.length, read: async () => new TextEncoder().encode(text) });
  const files = listedFiles(new Map([['cohort/scans/a.nii.gz', file('aaaa')], ['cohort/scans/deep/b.nii', file('b')], ['cohort/labels.csv', file('c,d')]]));

  it('is what cohort readers walk through', async () => {
    const { scans, tables } = await findCohortFiles(files, 'cohort');
    expect(scans.map(({ path }) => path)).toEqual(['cohort/scans/a.nii.gz', 'cohort/scans/deep/b.nii']);
    expect(tables.map(({ name }) => name)).toEqual(['labels.csv']);
    expect(await files.list('cohort/scans')).toEqual([{ name: 'a.nii.gz', kind: 'file', bytes: 4 }, { name: 'deep', kind: 'directory', bytes: 0 }]);
    expect(new TextDecoder().decode(await files.readFile('cohort/labels.csv'))).toBe('c,d');
    expect([await files.exists('cohort/scans'), await files.exists('cohort/none')]).toEqual([true, false]);
  });

  it('reads stretches, of files that cannot give them too', async () => {
    const both = listedFiles(new Map([['whole', file('0123456789')], ['blob', listedBlob(new Blob(['0123456789']))]]));
    for (const name of ['whole', 'blob']) {
      expect(new TextDecoder().decode(await both.readPart!(name, 3, 4))).toBe('3456');
      expect((await both.readPart!(name, 8, 4)).length).toBe(2);
    }
    await expect(both.readPart!('none', 0, 1)).rejects.toThrow('readFile: none: no such file or folder');
  });

  it('is only read', async () => {
    await expect(files.readFile('cohort/none.csv')).rejects.toThrow('readFile: cohort/none.csv: no such file or folder');
    await expect(files.writeFile('cohort/new', new Uint8Array())).rejects.toThrow('writeFile: cohort/new: the files that were chosen are only read');
  });
});
