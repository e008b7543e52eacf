/** Real scans from beside the project, where they are there. Facts are those of ../shared/data/README.md. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeJpegVolume, decodeScan, encodeJpegVolume, greyToValues, initJpegCodec, looksLikeChest, openCohort, readNifti } from '../../../src/data/index.ts';
import type { CtVolume, InputGrid } from '../../../src/data/index.ts';
import { nodeJpegWasm } from '../../../src/platform/node-jpeg.ts';
import { memoryFiles } from './memory-files.ts';

const DATA = '../shared/data';
const SMALL: InputGrid = { shape: [120, 240, 240], spacingMm: [3, 1.5, 1.5] };
const read = (name: string): Uint8Array => readFileSync(join(DATA, 'volumes', `${name}.nii.gz`));

const scans: [string, number[], number[], [number, number], boolean][] = [
  ['lungdx_A0002_kB40f', [30, 512, 512], [8, 0.6465, 0.6465], [-1024, 1548], true],
  ['acrinflt_013', [49, 512, 512], [4, 1.3672, 1.3672], [-1024, 3071], true],
  ['totalseg_ct_cropped_native', [164, 126, 120], [1.5, 1.5, 1.5], [-1078, 3343], false],
  ['totalseg_example_ct_sm_ABDOMEN', [30, 101, 122], [3, 3, 3], [-1100, 1207], false],
];

describe.skipIf(!existsSync(join(DATA, 'volumes')))('real scans', () => {
  beforeAll(() => initJpegCodec(nodeJpegWasm));

  it.each(scans)('%s has its published geometry and HU', (name, shape, spacing, range, chest) => {
    const volume = readNifti(read(name), name);
    expect(volume.shape).toEqual(shape);
    volume.spacingMm.forEach((size, axis) => expect(size).toBeCloseTo(spacing[axis]!, 3));
    let [low, high] = [Infinity, -Infinity];
    for (const value of volume.hu) [low, high] = [Math.min(low, value), Math.max(high, value)];
    expect([low, high]).toEqual(range);
    expect(volume.warnings).toEqual([]);
    expect(looksLikeChest(volume).length === 0).toBe(chest);
    if (name === 'lungdx_A0002_kB40f') expectUprightChest(volume);
    // Front and back exchanged: what a wrong header makes of a chest.
    if (chest) expect(looksLikeChest({ ...volume, hu: volume.hu.slice().reverse() }).join()).toContain('the spine seems to lie in front');
  });

  it('a chest becomes a JPEG volume of less than a tenth of its size, and stays near its values', async () => {
    const bytes = read('lungdx_A0002_kB40f');
    const { values, warnings } = await decodeScan(bytes, 'a', SMALL);
    expect(warnings).toEqual([]);
    const zip = await encodeJpegVolume(values, SMALL);
    const back = greyToValues((await decodeJpegVolume(zip, 'a')).grey);
    const error = Math.sqrt(back.reduce((sum, value, i) => sum + (value - values[i]!) ** 2, 0) / values.length);
    expect(zip.length).toBeLessThan(bytes.length / 10);
    // Root mean square in units of 1000 HU: 40 HU at quality 75.
    expect(error).toBeLessThan(0.04);
  });

  it('the three chests form a cohort too small to split', async () => {
    const names = ['lungdx_A0001_kB', 'lungdx_A0002_kB40f', 'acrinflt_013'];
    const files = memoryFiles({
      ...Object.fromEntries([...names, 'totalseg_ct_cropped_native'].map((name) => [`volumes/${name}.nii.gz`, ''])),
      'r.csv': readFileSync(join(DATA, 'cohort_reports.csv')),
      'l.csv': readFileSync(join(DATA, 'cohort_labels.csv')),
    });
    const cohort = await openCohort(files, { data: 'volumes', reports: 'r.csv', labels: 'l.csv', seed: 1 });
    expect(cohort.scans.map(({ id }) => id).sort()).toEqual([...names].sort());
    expect(cohort.splitTooSmall).toBe(true);
    const first = cohort.scans.find(({ id }) => id === 'lungdx_A0001_kB')!;
    expect(first.report).toBe('A large mass is present in the upper lobe of the left lung. No pleural effusion is seen. Left upper lobe mass.');
    expect([...first.labels!].map((value, i) => (value ? i : -1)).filter((i) => i >= 0)).toEqual([9, 10]);
    expect(cohort.problems.join('\n')).toContain('scans without a report, left out (1): totalseg_ct_cropped_native');
  });
});

/** The spine lies behind (large Y), and the lungs' tops hold less air than their middle: bone and air say which way is up. */
function expectUprightChest({ hu, shape: [depth, height, width] }: CtVolume): void {
  const bone = { front: 0, back: 0 };
  for (let d = 0; d < depth; d += 3) {
    for (let y = 0; y < height; y++) {
      for (let x = Math.floor(width * 0.42); x < width * 0.58; x++) {
        if (hu[(d * height + y) * width + x]! > 250) bone[y > height / 2 ? 'back' : 'front']++;
      }
    }
  }
  expect(bone.back).toBeGreaterThan(3 * bone.front);
}
