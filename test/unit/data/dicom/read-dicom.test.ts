import { zipSync } from 'fflate';
import { beforeAll, describe, expect, it } from 'vitest';
import { dicomFolderSources, listDicomSeries, readDicom, readNifti, readScan, writeNifti } from '../../../../src/data/index.ts';
import { initNodeCodecs } from '../../../../src/platform/node-dicom-codecs.ts';
import { COLUMNS, ctSeries, ctSlice, expectedHu, NAME, ROWS, source, storedValues, words } from '../../../support/dicom-series.ts';
import { SYNTAX, writeDicom } from '../../../support/dicom-writer.ts';
import type { DicomElements, DicomValue } from '../../../support/dicom-writer.ts';
import { memoryFiles } from '../memory-files.ts';

beforeAll(initNodeCodecs);

type Change = Record<string, [string, DicomValue] | null>;
const read = (count: number, change: (k: number) => Change = () => ({})) => readDicom(ctSeries(count, change), NAME);
const at = (z: number): Change => ({ '00200032': ['DS', `-10\\-20\\${z}`] });
const extra = (name: string, k: number, change: Change) => source(name, writeDicom(ctSlice(k, change)));

describe('stored values to HU', () => {
  const rows: [string, (k: number) => Change, (value: number, k: number) => number][] = [
    ['a slope of 1.0002441', () => ({ '00281053': ['DS', '1.0002441'] }), (value) => value * 1.0002441 - 1024],
    ['an intercept of "-01.024000E+03"', () => ({ '00281052': ['DS', '-01.024000E+03'], '00281053': ['DS', '001.000000E+00'] }), (value) => value - 1024],
    ['an intercept of -8192', () => ({ '00280101': ['US', 16], '00280102': ['US', 15], '00281052': ['DS', '-8192'], '7FE00010': ['OW', words(storedValues(0).map((value) => value + 7168))] }), (value) => value - 1024],
    ['slopes that differ by slice', (k) => ({ '00281053': ['DS', String(1 + k)], '00281052': ['DS', String(-1000 - k)] }), (value, k) => value * (1 + k) - 1000 - k],
    ['signed values', () => ({ '00280103': ['US', 1], '00281052': ['DS', '0'], '7FE00010': ['OW', words(storedValues(0).map((value) => value - 1000))] }), (value) => value - 1000],
    ['signed 16 bits', () => ({ '00280101': ['US', 16], '00280102': ['US', 15], '00280103': ['US', 1], '00281052': ['DS', '0'], '7FE00010': ['OW', words(storedValues(0).map((value) => value - 1000))] }), (value) => value - 1000],
    ['garbage above the stored bits', () => ({ '7FE00010': ['OW', words(storedValues(0).map((value, i) => value | ((i % 16) << 12)))] }), (value) => value - 1024],
    ['bits stored at the high end', () => ({ '00280102': ['US', 15], '7FE00010': ['OW', words(storedValues(0).map((value) => value << 4))] }), (value) => value - 1024],
  ];
  it.each(rows)('%s', async (_, change, expected) => {
    const volume = await read(3, (k) => ({ '7FE00010': ['OW', words(storedValues(0))], ...change(k) }));
    const values = [0, 1, 2].flatMap((k) => storedValues(0).map((value) => Math.fround(expected(value, k))));
    expect([...volume.hu]).toEqual(values);
  });

  const padded = (word: number, change: Change): Change => ({ '7FE00010': ['OW', words(storedValues(0).map((value, i) => (i < 6 ? word : value)))], ...change });
  const paddingRows: [string, Change][] = [
    ['PixelPaddingValue -2000 (-3024 HU)', padded(-2000, { '00280101': ['US', 16], '00280102': ['US', 15], '00280103': ['US', 1], '00280120': ['SS', -2000] })],
    ['PixelPaddingValue beyond the stored bits', padded(63536, { '00280120': ['US', 63536] })],
    ['a range to PixelPaddingRangeLimit', padded(5, { '00280120': ['US', 0], '00280121': ['US', 10] })],
  ];
  it.each(paddingRows)('%s becomes -1024', async (_, change) => {
    const volume = await read(3, () => change);
    expect([...volume.hu.subarray(0, 6)]).toEqual(new Array(6).fill(-1024));
    expect([...volume.hu.subarray(6, 30)]).toEqual(storedValues(0).slice(6).map((value) => value - 1024));
    expect(volume.warnings).toEqual([]);
  });

  it('padding without a word of it becomes -1024 with a warning', async () => {
    const volume = await read(3, () => padded(-2000 & 0xffff, { '00280101': ['US', 16], '00280102': ['US', 15], '00280103': ['US', 1] }));
    expect(volume.hu[0]).toBe(-1024);
    expect(volume.warnings.join()).toContain('down to -3024), taken for padding');
  });

  it('padding that would be tissue is not believed', async () => {
    const volume = await read(3, () => ({ '00280120': ['US', storedValues(0)[20]!] }));
    expect(volume.hu).toEqual(expectedHu(3));
    expect(volume.warnings.join()).toContain('HU, which tissue may have: such voxels are left as they are');
  });

  it.each<[string, Change, string]>([
    ['a slope of 0', { '00281053': ['DS', '0'] }, 'RescaleSlope must be positive, got 0'],
    ['a slope with a comma', { '00281053': ['DS', '1,5'] }, "RescaleSlope must be a number, got '1,5'"],
    ['a lookup table', { '00283000': ['SQ', [{ '00283006': ['US', [1, 2]] }]] }, 'HU by a lookup table (Modality LUT) are not read'],
    ['32 bits', { '00280100': ['US', 32] }, 'BitsAllocated must be 8 or 16, got 32'],
    ['bits that do not fit', { '00280101': ['US', 12], '00280102': ['US', 16] }, 'BitsStored 12 and HighBit 16 do not fit'],
    ['too few pixels', { '7FE00010': ['OW', words(storedValues(0).slice(1))] }, 'PixelData must hold 60 bytes, got 58'],
    ['rows of 0', { '00280010': ['US', 0] }, 'Rows must be 1 to 4096, got 0'],
    ['enormous sides', { '00280010': ['US', 60000], '00280011': ['US', 60000] }, 'Rows must be 1 to 4096, got 60000'],
    ['no spacing', { '00280030': null }, 'PixelSpacing must be two positive numbers, got none'],
    ['directions that are none', { '00200037': ['DS', '1\\0\\0\\1\\0\\0'] }, 'ImageOrientationPatient must be two directions at right angles'],
  ])('refuses %s', async (_, change, message) => {
    await expect(read(3, () => change)).rejects.toThrow(message);
    await expect(read(3, () => change)).rejects.toThrow(/^readDicom: scan: 0\.dcm: /);
  });

  it('assumes and says so where slope and intercept are missing', async () => {
    const { warnings } = await read(3, () => ({ '00281052': null, '00281053': null }));
    expect(warnings.join()).toContain('RescaleSlope is missing, 1 is assumed; check the HU');
    expect(warnings.join()).toContain('the rescale intercept (mostly -1024) seems not to be applied');
  });
});

describe('geometry', () => {
  it('sorts by position, whatever the names and numbers', async () => {
    const sources = ctSeries(6, (k) => ({ '00200013': ['IS', String((k * 5) % 6)] }));
    const volume = await readDicom([3, 0, 5, 1, 4, 2].map((k) => sources[k]!), NAME);
    expect(volume.hu).toEqual(expectedHu(6));
  });

  // Row and column direction (LPS), and the direction in which k rises.
  const orientations: [string, number[], number[]][] = [
    ['axial', [1, 0, 0, 0, 1, 0], [0, 0, 1]],
    ['axial, head first on the belly', [-1, 0, 0, 0, -1, 0], [0, 0, 1]],
    ['axial, descending', [1, 0, 0, 0, 1, 0], [0, 0, -1]],
    ['coronal', [1, 0, 0, 0, 0, -1], [0, 1, 0]],
    ['sagittal', [0, 1, 0, 0, 0, -1], [-1, 0, 0]],
    ['turned by 5 degrees', [Math.cos(0.087), Math.sin(0.087), 0, -Math.sin(0.087), Math.cos(0.087), 0], [0, 0, 1]],
  ];
  it.each(orientations)('%s: as NIfTI with the same affine', async (_, directions, step) => {
    const volume = await read(4, (k) => ({
      '00200037': ['DS', directions.map((value) => value.toFixed(8)).join('\\')],
      '00200032': ['DS', step.map((value) => (2.5 * k * value + 3).toFixed(6)).join('\\')],
    }));
    const [row, column] = [directions.slice(0, 3), directions.slice(3)];
    const affine = [-1, -1, 1].map((sign, world) => [sign * row[world]! * 0.7, sign * column[world]! * 0.8, sign * step[world]! * 2.5]);
    // The same voxels as a NIfTI file whose sform is replaced by the affine.
    const file = writeNifti({ hu: Int16Array.from(expectedHu(4)), shape: [4, ROWS, COLUMNS], spacingMm: [2.5, 0.8, 0.7] });
    const view = new DataView(file.buffer, file.byteOffset);
    const offset = view.getFloat32(108, true);
    new Int16Array(file.buffer, file.byteOffset + offset, 120).set(expectedHu(4));
    [0.7, 0.8, 2.5].forEach((size, axis) => view.setFloat32(80 + 4 * axis, size, true));
    [COLUMNS, ROWS, 4].forEach((size, axis) => view.setInt16(42 + 2 * axis, size, true));
    affine.forEach((values, world) => values.forEach((value, axis) => view.setFloat32(280 + 16 * world + 4 * axis, value, true)));
    const nifti = readNifti(file, 'nifti');
    expect(volume.shape).toEqual(nifti.shape);
    volume.spacingMm.forEach((size, axis) => expect(size).toBeCloseTo(nifti.spacingMm[axis]!, 4));
    expect(volume.hu).toEqual(nifti.hu);
  });

  it('a stack that lies 20 degrees off the axes gets the warning that NIfTI gets', async () => {
    const [c, s] = [Math.cos(0.349), Math.sin(0.349)];
    const { warnings } = await read(4, (k) => ({ '00200037': ['DS', `1\\0\\0\\0\\${c}\\${s}`], '00200032': ['DS', `0\\${-2.5 * k * s}\\${2.5 * k * c}`] }));
    expect(warnings).toEqual([expect.stringContaining('the scan lies 20 degrees off the body\'s axes')]);
  });

  it('a tilted gantry is refused with its angle; a tilt in the header alone is a warning', async () => {
    const [c, s] = [Math.cos(0.2), Math.sin(0.2)];
    await expect(read(5, (k) => ({ '00200037': ['DS', `1\\0\\0\\0\\${c}\\${s}`], '00200032': ['DS', `0\\0\\${2.5 * k}`] }))).rejects.toThrow('the gantry was tilted by 11.5 degrees, which shears the volume');
    await expect(read(5, (k) => ({ '00200032': ['DS', `${k === 2 ? 7 : 0}\\0\\${2.5 * k}`] }))).rejects.toThrow('do not lie above each other (up to 7.0 mm sideways)');
    expect((await read(3, () => ({ '00181120': ['DS', '15'] }))).warnings.join()).toContain('gantry tilt of 15 degrees, the positions none');
  });

  it('one missing thin slice is filled from its neighbours and named', async () => {
    const sources = ctSeries(6).filter((_, k) => k !== 2);
    const { hu, shape, spacingMm, warnings } = await readDicom(sources, NAME);
    expect(shape[0]).toBe(6);
    expect(spacingMm[0]).toBeCloseTo(2.5, 6);
    expect(warnings).toEqual([expect.stringContaining('1 of 6 slices is missing (5.0 mm after 1.dcm); filled with the mean of their neighbours')]);
    const [before, after] = [storedValues(1), storedValues(3)];
    expect([...hu.subarray(60, 90)]).toEqual(before.map((value, i) => (value + after[i]!) / 2 - 1024));
    expect(hu.subarray(90)).toEqual(expectedHu(6).subarray(90));
  });

  it('wide or many gaps are refused', async () => {
    await expect(readDicom(ctSeries(9).filter((_, k) => k < 2 || k > 5), NAME)).rejects.toThrow('4 of 9 slices are missing (12.5 mm after 1.dcm): a finding may lie there; copy or export the whole series again');
    await expect(readDicom(ctSeries(9).filter((_, k) => k !== 2 && k !== 5), NAME)).rejects.toThrow('2 of 9 slices are missing');
    await expect(readDicom(ctSeries(6, (k) => at(8 * k)).filter((_, k) => k !== 2), NAME)).rejects.toThrow('16.0 mm after');
  });

  it('positions rounded to a tenth pass, uneven ones do not', async () => {
    const { spacingMm } = await read(9, (k) => at(Number((0.625 * k).toFixed(1))));
    expect(spacingMm[0]).toBeCloseTo(0.625, 6);
    await expect(read(6, (k) => at(k < 4 ? 5 * k : 15 + 1.5 * (k - 3)))).rejects.toThrow('the slices must be evenly spaced, got 1.50 mm among 5.00 mm (after 3.dcm)');
  });

  it('copies of slices are left out, under their own or other names', async () => {
    const slices = ctSeries(4);
    const twice = await readDicom([...slices, slices[1]!, slices[2]!], NAME);
    expect(twice.hu).toEqual(expectedHu(4));
    expect(twice.warnings).toEqual(['2 slices are there twice; the copies are left out']);
    const renamed = await readDicom([...slices, extra('copy.dcm', 1, { '00080018': ['UI', '9.9'] })], NAME);
    expect(renamed.hu).toEqual(expectedHu(4));
    expect(renamed.warnings).toEqual(['1 slice is there twice under different names; the copies are left out']);
  });

  it('two phases in a series: by acquisition the larger, otherwise refused', async () => {
    const phase = (number: string, count: number, add: number) => Array.from({ length: count }, (_, k) =>
      extra(`${number}-${k}`, k, { '00080018': ['UI', `7.${number}.${k}`], '00200012': ['IS', number], '7FE00010': ['OW', words(storedValues(k).map((value) => value + add))] }));
    const { hu, warnings } = await readDicom([...phase('1', 3, 9), ...phase('2', 4, 0)], NAME);
    expect(hu).toEqual(expectedHu(4));
    expect(warnings).toEqual(['the series holds 2 passes over the same places (acquisitions or phases); the larger is taken, 4 of 7 slices']);
    await expect(readDicom([...phase('1', 3, 9), ...phase('1', 4, 0).map((each, k) => extra(`b${k}`, k, { '00080018': ['UI', `8.${k}`] }) ?? each)], NAME)).rejects.toThrow('two different slices lie at the same place');
  });

  it('a single slice is one slice, with a word', async () => {
    const { shape, spacingMm, warnings } = await read(1);
    expect([shape, spacingMm]).toEqual([[1, ROWS, COLUMNS], [2.5, 0.8, 0.7]]);
    expect(warnings).toEqual(['a single slice of 2.5 mm, not a series: one slice is no chest']);
    await expect(read(1, () => ({ '00180050': null }))).rejects.toThrow('a single slice needs SliceThickness');
  });
});

describe('what is left out', () => {
  it.each<[string, Change, string]>([
    ['a localiser', { '00080008': ['CS', 'ORIGINAL\\PRIMARY\\LOCALIZER'] }, 'localisers'],
    ['a secondary capture', { '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.7'] }, 'secondary captures'],
    ['a MIP', { '00080008': ['CS', 'DERIVED\\SECONDARY\\AXIAL\\MIP'] }, 'projections, renderings or reports'],
    ['a PET slice', { '00080060': ['CS', 'PT'] }, 'not CT but PT'],
    ['a screenshot', { '00280002': ['US', 3] }, 'colour pictures'],
    ['a picture without a place', { '00200032': null }, 'without a position in space'],
    ['a report', { '7FE00010': null }, 'without a picture'],
    ['a DICOMDIR', { '00080016': ['UI', '1.2.840.10008.1.3.10'] }, 'directories (DICOMDIR)'],
  ])('%s, with a word', async (_, change, reason) => {
    const { hu, warnings } = await readDicom([extra('X', 7, change), ...ctSeries(3)], NAME);
    expect(hu).toEqual(expectedHu(3));
    expect(warnings).toEqual([`left out: 1 file is ${reason} (X)`]);
    await expect(readDicom([extra('X', 7, change)], NAME)).rejects.toThrow(`readDicom: scan: no CT slice is found: 1 file is ${reason} (X); give the folder or ZIP of a CT series`);
  });

  it('files that are no DICOM, and a scout that does not say what it is', async () => {
    const scout = extra('scout', 9, { '00200037': ['DS', '1\\0\\0\\0\\0\\-1'] });
    const { hu, warnings } = await readDicom([source('README', new Uint8Array(500)), scout, ...ctSeries(9)], NAME);
    expect(hu).toEqual(expectedHu(9));
    expect(warnings).toEqual(['left out: 1 file is no DICOM (README)', '1 image of another size, spacing or orientation left out (scout)']);
  });

  it('a damaged slice is named, not left out', async () => {
    const bytes = writeDicom(ctSlice(2));
    await expect(readDicom([...ctSeries(2), source('2.dcm', bytes.subarray(0, bytes.length - 20))], NAME)).rejects.toThrow(/^readDicom: scan: 2\.dcm: .*copy or export/);
  });
});

describe('several series', () => {
  const series = (uid: string, number: number, count: number, change: Change = {}) => Array.from({ length: count }, (_, k) =>
    extra(`${uid}-${k}`, k, { '00080018': ['UI', `${uid}.${k}`], '0020000E': ['UI', uid], '00200011': ['IS', String(number)], ...change }));

  it('takes the largest axial one and says so; --series takes any', async () => {
    const sources = [...series('5.1', 1, 9, { '00200037': ['DS', '1\\0\\0\\0\\0\\-1'] }), ...series('5.2', 2, 4), ...series('5.3', 3, 3)];
    const { hu, warnings } = await readDicom(sources, NAME);
    expect(hu).toEqual(expectedHu(4));
    expect(warnings).toEqual(["the largest of 3 CT series is taken: 2 'Chest', 4 slices; 2 left out (1 'Chest', 9 slices; 3 'Chest', 3 slices)"]);
    expect((await readDicom(sources, NAME, { series: '5.3' })).shape[0]).toBe(3);
    await expect(readDicom(sources, NAME, { series: '5' })).rejects.toThrow(/there is no series 5; choose one of the 3:\n {2}5\.1 {2}1 'Chest', 9 slices, not axial\n {2}5\.2/);
    expect((await listDicomSeries(sources, NAME)).map(({ uid, slices, axial }) => [uid, slices, axial])).toEqual([['5.1', 9, false], ['5.2', 4, true], ['5.3', 3, true]]);
  });

  it('of equally large ones the first by number', async () => {
    const { warnings } = await readDicom([...series('5.8', 8, 3), ...series('5.4', 4, 3)], NAME);
    expect(warnings).toEqual(["the largest of 2 CT series is taken: 4 'Chest', 3 slices; 1 left out, 1 of them as large (8 'Chest', 3 slices)"]);
  });

  it('of several patients or studies none unasked', async () => {
    await expect(readDicom([...series('5.1', 1, 3), ...series('5.2', 2, 4, { '00100020': ['LO', 'P2'] })], NAME)).rejects.toThrow('2 CT series of 2 patients; give one with --series');
    await expect(readDicom([...series('5.1', 1, 3), ...series('5.2', 2, 4, { '0020000D': ['UI', '6'] })], NAME)).rejects.toThrow('2 CT series of 2 studies; give one with --series');
  });
});

describe('enhanced CT', () => {
  const frame = (k: number): DicomElements => ({
    '00209111': ['SQ', [{ '00209056': ['SH', '1'] }]],
    '00209113': ['SQ', [{ '00200032': ['DS', `-10\\-20\\${100 + 2.5 * k}`] }]],
    '00289145': ['SQ', [{ '00281052': ['DS', '-1024'], '00281053': ['DS', '1'] }]],
    '00189329': ['SQ', [{ '00089007': ['CS', 'ORIGINAL\\PRIMARY\\VOLUME_X\\NONE'] }]],
  });
  const shared: DicomElements = {
    '00209116': ['SQ', [{ '00200037': ['DS', '1\\0\\0\\0\\1\\0'] }]],
    '00289110': ['SQ', [{ '00280030': ['DS', '0.8\\0.7'], '00180050': ['DS', '2.5'] }]],
  };
  const enhanced = (frames: number[], pixels: DicomValue, change: Change = {}): DicomElements => ctSlice(0, {
    '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.2.1'], '00200032': null, '00200037': null, '00280030': null, '00281052': null, '00281053': null,
    '00280008': ['IS', String(frames.length)], '52009229': ['SQ', [shared]], '52009230': ['SQ', frames.map(frame)], '7FE00010': ['OW', pixels], ...change,
  });
  const pixels = (frames: number[]): Uint8Array => words(frames.flatMap(storedValues));

  it.each([['explicit', SYNTAX.explicit], ['implicit', SYNTAX.implicit]])('one file with its frames in any order, %s', async (_, syntax) => {
    for (const undefinedLength of [false, true]) {
      const bytes = writeDicom(enhanced([2, 0, 3, 1], pixels([2, 0, 3, 1])), { syntax, undefinedLength });
      const volume = await readScan(bytes, NAME);
      expect(volume.hu).toEqual(expectedHu(4));
      expect(volume).toMatchObject({ spacingMm: [2.5, 0.8, 0.7], warnings: [] });
    }
  });

  it('refuses frames that are not described, or not there', async () => {
    const broken = (elements: DicomElements) => readScan(writeDicom(elements), NAME);
    await expect(broken(enhanced([0, 1], pixels([0, 1]), { '00280008': ['IS', '999999'] }))).rejects.toThrow('got 2 descriptions of 999999 frames');
    await expect(broken(enhanced([0, 1], pixels([0])))).rejects.toThrow('PixelData must hold 120 bytes, got 60');
  });
});

describe('where a series comes from', () => {
  const files = Object.fromEntries(ctSeries(3).map(({ name }, k) => [name, writeDicom(ctSlice(k))]));

  it('a ZIP, with folders and clutter in it', async () => {
    const zip = zipSync({ ...Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`P/S/${name}`, bytes])), '__MACOSX/._0.dcm': new Uint8Array(9), 'P/.DS_Store': new Uint8Array(9) });
    const volume = await readScan(zip, NAME);
    expect(volume.hu).toEqual(expectedHu(3));
    expect(volume.warnings).toEqual([]);
  });

  it('a ZIP whose entry was damaged on the way', async () => {
    const zip = zipSync(files, { level: 0 });
    zip[zip.length >> 1]! ^= 1;
    await expect(readScan(zip, NAME)).rejects.toThrow(/^readDicom: scan: 1\.dcm: the entry is damaged \(its CRC-32 does not match its content\)/);
  });

  it('a ZIP of something else', async () => {
    await expect(readScan(zipSync({ 'a.txt': new Uint8Array(4) }), NAME)).rejects.toThrow('no CT slice is found: 1 file is no DICOM (a.txt)');
  });

  it('a folder, whatever its files are called', async () => {
    const fs = memoryFiles({
      'scan/series/IM0001': files['0.dcm']!, 'scan/series/1.2.840.5': files['1.dcm']!, 'scan/more/2.IMA': files['2.dcm']!,
      'scan/DICOMDIR': writeDicom({ '00080016': ['UI', '1.2.840.10008.1.3.10'], '00080060': ['CS', ''] }), 'scan/notes.txt': 'x', 'scan/._0.dcm': 'x',
    });
    const { hu, warnings } = await readDicom(await dicomFolderSources(fs, 'scan'), NAME);
    expect(hu).toEqual(expectedHu(3));
    expect(warnings).toEqual(['left out: 1 file is directories (DICOMDIR) (DICOMDIR)']);
    await expect(dicomFolderSources(memoryFiles({ 'x/a.txt': '' }), 'x')).rejects.toThrow('readDicom: x: no DICOM file is found below the folder');
  });

});
