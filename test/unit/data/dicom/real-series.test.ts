/** Real series from beside the project, where they are there. Facts are those of ../shared/data/README.md. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dicomZipSources, readDicom, readNifti, readScan } from '../../../../src/data/index.ts';

const DATA = '../shared/data';
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(DATA, name)));

describe.skipIf(!existsSync(join(DATA, 'dicom')))('real series', () => {
  it('a zipped series gives the NIfTI of its name, voxel for voxel', async () => {
    const volume = await readScan(read('dicom/lungdx_A0002_kB40f_series.zip'), 'series.zip');
    const golden = readNifti(read('volumes/lungdx_A0002_kB40f.nii.gz'), 'golden');
    expect(volume.shape).toEqual(golden.shape);
    volume.spacingMm.forEach((size, axis) => expect(size).toBeCloseTo(golden.spacingMm[axis]!, 5));
    expect(volume.warnings).toEqual([]);
    expect(volume.hu.findIndex((value, index) => value !== golden.hu[index])).toBe(-1);
  });

  it('eight single slices of seven patients with odd headers: each by its series, never one of them unasked', async () => {
    const sources = dicomZipSources(read('dicom/tcga_luad_odd_headers_a.zip'), 'tcga');
    const error: Error = await readDicom(sources, 'tcga.zip').then(() => new Error('read'), (cause: Error) => cause);
    expect(error.message).toContain('it holds 8 CT series of 7 patients; give one with --series');
    const uids = error.message.match(/^ {2}[\d.]+/gm)!.map((uid) => uid.trim());
    expect(uids).toHaveLength(8);
    for (const series of uids) {
      const { shape, hu, warnings } = await readDicom(sources, 'tcga.zip', { series });
      expect(shape).toEqual([1, 512, 512]);
      expect(warnings.join()).toMatch(/a single slice of (2|2\.5|5|8) mm, not a series/);
      const low = hu.reduce((least, value) => Math.min(least, value), Infinity);
      expect(low).toBe(-1024);
    }
  });

  it('a slope of 1.0002441 and an intercept of "-01.024000E+03" are applied as written', async () => {
    const sources = dicomZipSources(read('dicom/tcga_luad_odd_headers_a.zip'), 'tcga');
    const one = async (name: string): Promise<Float32Array> => (await readDicom(sources.filter((source) => source.name.startsWith(name)), name)).hu;
    const sloped = await one('ID_0005');
    const step = sloped.reduce((least, value) => (value > -1024 && value < least ? value : least), Infinity);
    expect(step).toBe(Math.fround(-1024 + 1.0002441));
    const plain = await one('ID_0000');
    expect(plain.every((value) => Number.isInteger(value) && value >= -1024)).toBe(true);
  });
});
