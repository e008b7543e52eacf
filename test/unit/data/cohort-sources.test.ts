import { describe, expect, it } from 'vitest';
import { decodeScan, LABELS, openCohort, RAD_CHESTCT_LABELS, readColumnNames, readCsv, readLabelMap, UNLABELLED, writeNiftiGz } from '../../../src/data/index.ts';
import { mapRadChestCt, radChestCtColumns } from '../../../src/data/rad-chestct.ts';
import { applyMetadata, readMetadata } from '../../../src/data/scan-metadata.ts';
import { memoryFiles } from './memory-files.ts';

const csv = (...lines: string[]): string => `${lines.join('\n')}\n`;
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe('a hospital\'s own columns', () => {
  const names = readColumnNames(json({ scan: 'Datei', patient: 'PatNr', findings: 'Befund', labels: { emphysema: 'Emphysem', 'Hiatal hernia': 'Hernie' } }), 'c.json');
  const files = memoryFiles({
    ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`scans/s${n}.nii.gz`, 'x'])),
    'scans/befunde.csv': csv('Nr;Datei;Befund;PatNr', ...Array.from({ length: 8 }, (_, n) => `${n};s${n}.nii.gz;Text ${n}.;P${n >> 1}`)),
    'scans/labels.csv': csv('Datei,Emphysem,Hernie', ...Array.from({ length: 8 }, (_, n) => `s${n},${n % 2},${n === 0 ? '' : 0}`)),
  });

  it('are read by a file that names them', async () => {
    const { scans } = await openCohort(files, { data: 'scans', seed: 1, columns: names });
    expect(scans.map(({ id, patientId, report }) => [id, patientId, report])).toEqual(Array.from({ length: 8 }, (_, n) => [`s${n}`, `P${n >> 1}`, `Text ${n}.`]));
    const [emphysema, hernia] = [LABELS.indexOf('Emphysema'), LABELS.indexOf('Hiatal hernia')];
    expect([scans[1]!.labels![emphysema], scans[1]!.labels![hernia], scans[0]!.labels![hernia], scans[0]!.labels![0]]).toEqual([1, 0, UNLABELLED, UNLABELLED]);
  });

  it.each([
    [{ volume: 'x' }, "'volume' is none of scan, patient, findings, impression"], [{ labels: { Cancer: 'x' } }, "'Cancer' is none of Medical material"],
    [{ scan: 3 }, "'scan' must be the name of a column, got 3"], [[], 'must be an object'],
  ])('refuse %j', (value, message) => expect(() => readColumnNames(json(value), 'c.json')).toThrow(message));
});

describe('Rad-ChestCT', () => {
  const abnormalities = [...new Set(Object.values(RAD_CHESTCT_LABELS).flat())];
  const locations = ['left_lung', 'heart'];
  const columns = [...abnormalities, 'tree_in_bud'].flatMap((name) => locations.map((location) => `${name}*${location}`));
  const row = (id: string, ...present: string[]): string => [id, ...columns.map((column) => (present.includes(column) ? '1.0' : '0.0'))].join(',');
  const files = (side: string, prefix: string, count: number) => ({
    ...Object.fromEntries(Array.from({ length: count }, (_, n) => [`rad/${prefix}0000${n}.npz`, 'x'])),
    [`rad/img${side}_Abnormality_and_Location_Labels.csv`]: csv(['NoteAcc_DEID', ...columns].join(','), ...Array.from({ length: count }, (_, n) => row(`${prefix}0000${n}`, 'nodulegr1cm*heart', ...(n === 1 ? ['stent*left_lung', 'tree_in_bud*heart'] : [])))),
  });
  const cohortFiles = {
    ...files('train', 'trn', 6), ...files('valid', 'val', 3), ...files('test', 'tst', 3),
    'rad/CT_Scan_Metadata_Complete_35747.csv': csv('NoteAcc_DEID,MRN_DEID', ...['trn', 'val', 'tst'].flatMap((prefix) => Array.from({ length: 6 }, (_, n) => `${prefix}0000${n},${prefix}-${n >> 1}`))),
  };

  it('is read without reports: its splits, its patients, 16 of the 18 labels', async () => {
    const { scans, problems } = await openCohort(memoryFiles(cohortFiles), { data: 'rad', seed: 1 });
    expect(scans).toHaveLength(12);
    const find = (id: string) => scans.find((scan) => scan.id === id)!;
    expect(find('trn00001')).toMatchObject({ split: 'train', patientId: 'trn-0', report: '' });
    expect([find('val00002').split, find('tst00002').split, find('tst00002').patientId]).toEqual(['validation', 'test', 'tst-1']);
    const present = (id: string): string[] => LABELS.filter((_, at) => find(id).labels![at] === 1);
    expect(present('trn00000')).toEqual(['Lung nodule']);
    expect(present('trn00001')).toEqual(['Medical material', 'Lung nodule']);
    expect(LABELS.filter((_, at) => find('trn00000').labels![at] === UNLABELLED)).toEqual(['Coronary artery wall calcification', 'Mosaic attenuation pattern']);
    expect(problems.join('\n')).toContain('no reports CSV is found: the scans can be evaluated');
    expect(problems.join('\n')).toContain('no column for 2 of the 18 labels');
  });

  it('is mapped by another file, to single locations too', () => {
    const map = readLabelMap(json({ labels: { Emphysema: ['tree_in_bud*heart'], Cardiomegaly: [] } }), 'm.json');
    const table = readCsv(csv(['NoteAcc_DEID', ...columns].join(','), row('a', 'tree_in_bud*heart'), row('b', 'tree_in_bud*left_lung')), 't.csv', (header) => radChestCtColumns(header, map));
    // Of some forty columns only these were kept.
    expect(table.columns).toEqual(['NoteAcc_DEID', 'tree_in_bud*heart']);
    expect(mapRadChestCt(table, map)).toMatchObject({ columns: ['VolumeName', 'Emphysema'], rows: [['a', '1'], ['b', '0']] });
    expect(() => mapRadChestCt(table, { Emphysema: ['emphysaema'] })).toThrow("has no column for 'emphysaema'; change the mapping and give it with --label-map");
  });

  it.each([[{ labels: { Pneumonia: [] } }, "'Pneumonia' is none of the 18 labels"], [{ labels: { Emphysema: 'x' } }, "'Emphysema' must have a list of names"], [[], 'must hold "labels"']])('mapping %j is refused', (value, message) => {
    expect(() => readLabelMap(json(value), 'm.json')).toThrow(message);
  });

  it('maps each of the 18 labels, 16 of them to something', () => {
    expect(Object.keys(RAD_CHESTCT_LABELS)).toEqual([...LABELS]);
    expect(Object.values(RAD_CHESTCT_LABELS).filter((names) => names.length > 0)).toHaveLength(16);
  });
});

describe("CT-RATE's metadata", () => {
  const rows = readMetadata(readCsv(csv('VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing', 'a.nii.gz,1.0,-1024.0,"[0.7, 0.8]",1.5', 'b.nii.gz,1,-8192,"[0.7, 0.7]",', 'c.nii.gz,,,nonsense,x'), 'm.csv'));
  const volume = (fill: (n: number) => number, spacing: [number, number, number] = [1.5, 0.7, 0.8]) => ({ hu: Float32Array.from({ length: 64 }, (_, n) => fill(n)), shape: [4, 4, 4] as [number, number, number], spacingMm: spacing, warnings: [] as string[], source: 'a' });
  const a = rows.get('a')!;

  it('is read as it is written', () => {
    expect(a).toEqual({ slope: 1, intercept: -1024, spacingMm: [1.5, 0.7, 0.8] });
    expect(rows.get('b')).toEqual({ slope: 1, intercept: -8192, spacingMm: null });
    expect(rows.get('c')).toEqual({ slope: null, intercept: null, spacingMm: null });
  });
  it('does not rescale what is in HU already', () => {
    const inHu = volume((n) => (n % 2 ? 700 : -900));
    expect(applyMetadata(inHu, a)).toEqual(inHu);
  });
  it('rescales stored values, once, and says so', () => {
    const { hu, warnings } = applyMetadata(volume((n) => (n % 2 ? 1064 : 24)), a);
    expect([hu[0], hu[1]]).toEqual([-1000, 40]);
    expect(warnings).toEqual(['stored values: slope 1 and intercept -1024 of the metadata table applied']);
  });
  it('does not take -8192 for an intercept', () => {
    const { hu, warnings } = applyMetadata(volume((n) => (n % 2 ? 1064 : 24)), rows.get('b')!);
    expect(hu[0]).toBe(24);
    expect(warnings).toEqual(['RescaleIntercept -8192 of the metadata table cannot be right and is not applied']);
  });
  it('fills a spacing that the header lacks, and only says where the two differ', () => {
    expect(applyMetadata(volume(() => -900, [1, 1, 1]), a)).toMatchObject({ spacingMm: [1.5, 0.7, 0.8] });
    const other = applyMetadata(volume(() => -900, [2, 0.7, 0.8]), a);
    expect(other.spacingMm).toEqual([2, 0.7, 0.8]);
    expect(other.warnings[0]).toContain("spacing is [2, 0.7, 0.8] mm in the header and [1.5, 0.7, 0.8] mm in the metadata table: the header's is used");
  });

  it('reaches the decoder: a cohort in CT-RATE\'s layout whose files were never rescaled', async () => {
    const shape: [number, number, number] = [6, 12, 12];
    const stored = Int16Array.from({ length: 6 * 144 }, (_, n) => (Math.hypot((Math.floor(n / 12) % 12) - 6, (n % 12) - 6) < 5 ? 1064 : 24));
    const scan = writeNiftiGz({ hu: stored, shape, spacingMm: [20, 20, 20] });
    const { scans } = await openCohort(memoryFiles({
      'ct/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz': scan,
      'ct/train_reports.csv': csv('VolumeName,Findings_EN', 'train_1_a_1.nii.gz,Text.'),
      'ct/metadata/train_metadata.csv': csv('VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing', 'train_1_a_1.nii.gz,1,-1024,"[20, 20]",20'),
    }), { data: 'ct', seed: 1 });
    const grid = { shape, spacingMm: [20, 20, 20] as [number, number, number] };
    const { metadata } = scans[0]!;
    const with_ = await decodeScan(scan, 'train_1_a_1', grid, { metadata: metadata! });
    const without = await decodeScan(scan, 'train_1_a_1', grid);
    expect([with_.values[0], with_.values[6 * 12 + 6]]).toEqual([-1, expect.closeTo(0.04, 6)]);
    expect(without.values[0]).toBeCloseTo(0.024, 6);
  });
});
