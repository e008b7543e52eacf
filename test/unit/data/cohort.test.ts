import { describe, expect, it } from 'vitest';
import { LABELS, openCohort, parseCtRateName, scanId, splitPatients, UNLABELLED } from '../../../src/data/index.ts';
import type { Cohort, FileSystem } from '../../../src/data/index.ts';
import { ctSlice } from '../../support/dicom-series.ts';
import { writeDicom } from '../../support/dicom-writer.ts';
import { memoryFiles } from './memory-files.ts';

const LABEL_HEADER = ['VolumeName', ...LABELS].join(',');
const labelLine = (name: string, ...positive: number[]): string => [name, ...LABELS.map((_, i) => (positive.includes(i) ? '1' : '0'))].join(',');
const csv = (...lines: string[]): string => `${lines.join('\n')}\n`;

/** CT-RATE in small: `train` and `valid` patients of two scans, the first scan in two reconstructions. */
function ctRate(trainPatients: number, validPatients: number, root = 'root/dataset', depth = 'deep'): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [side, count] of [['train', trainPatients], ['valid', validPatients]] as const) {
    const reports = ['VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN'];
    const labels = [LABEL_HEADER];
    for (let patient = 1; patient <= count; patient++) {
      for (const [scan, reconstruction] of [['a', 1], ['a', 2], ['b', 1]] as const) {
        const stem = `${side}_${patient}_${scan}`;
        const name = `${stem}_${reconstruction}.nii.gz`;
        files[depth === 'deep' ? `${root}/${side}/${side}_${patient}/${stem}/${name}` : `${root}/${name}`] = 'bytes';
        reports.push(`${name},cough,CT,"Findings of ${stem}, with ""quotes""\nand a second line.",Impression of ${stem}.`);
        labels.push(labelLine(name, patient % 18));
      }
    }
    if (count > 0) {
      files[`${root}/radiology_text_reports/${side}_reports.csv`] = csv(...reports);
      files[`${root}/multi_abnormality_labels/${side}_predicted_labels.csv`] = csv(...labels);
      files[`${root}/metadata/${side}_metadata.csv`] = csv('VolumeName,RescaleIntercept', `${side}_1_a_1.nii.gz,-8192`);
    }
  }
  return files;
}

const splitOf = (cohort: Cohort, patientId: string): Set<string> => new Set(cohort.scans.filter((scan) => scan.patientId === patientId).map(({ split }) => split));
const count = (cohort: Cohort, split: string): number => cohort.scans.filter((scan) => scan.split === split).length;

describe('names', () => {
  it('are matched without folder and ending', () => {
    for (const name of ['a/b/train_1_a_1.nii.gz', 'train_1_a_1.NII', 'train_1_a_1.zip', ' train_1_a_1 ', 'C:\\x\\train_1_a_1.nii.gz']) expect(scanId(name)).toBe('train_1_a_1');
    expect(scanId('scan.v2.nii.gz')).toBe('scan.v2');
  });
  it('of CT-RATE carry patient and scan', () => {
    expect(parseCtRateName('valid_12_b_3')).toEqual({ side: 'valid', patientId: 'valid_12', scanId: 'valid_12_b' });
    for (const other of ['train_1', 'test_1_a_1', 'train_1_a', 'mytrain_1_a_1', 'train_x_a_1']) expect(parseCtRateName(other)).toBeNull();
  });
});

describe("CT-RATE's layout", () => {
  it.each([
    ['with dataset/', 'root/dataset', 'deep'],
    ['without', 'root', 'deep'],
    ['flat', 'root', 'flat'],
  ])('is read %s', async (_, root, depth) => {
    const cohort = await openCohort(memoryFiles(ctRate(20, 4, root, depth)), { data: 'root', seed: 1 });
    expect(cohort.scans).toHaveLength(72);
    expect(cohort.problems).toEqual([]);
    expect(cohort.splitTooSmall).toBe(false);
    const [first, second, third] = cohort.scans.filter(({ patientId }) => patientId === 'train_7');
    expect(first).toMatchObject({ id: 'train_7_a_1', reportId: 'train_7_a', report: 'Findings of train_7_a, with "quotes"\nand a second line. Impression of train_7_a.' });
    expect(second!.reportId).toBe(first!.reportId);
    expect(third!.reportId).toBe('train_7_b');
    expect([...first!.labels!]).toEqual(LABELS.map((__, i) => (i === 7 ? 1 : 0)));
  });

  it('has its valid side as test and 15 % of the train patients as validation', async () => {
    const cohort = await openCohort(memoryFiles(ctRate(20, 4)), { data: 'root', seed: 1 });
    expect(count(cohort, 'test')).toBe(4 * 3);
    expect(count(cohort, 'validation')).toBe(3 * 3);
    expect(count(cohort, 'train')).toBe(17 * 3);
    for (const { patientId, split } of cohort.scans) {
      expect(splitOf(cohort, patientId).size).toBe(1);
      expect(split === 'test').toBe(patientId.startsWith('valid_'));
    }
  });

  it('splits the same way for the same seed, another way for another', async () => {
    const open = async (seed: number): Promise<string> =>
      JSON.stringify((await openCohort(memoryFiles(ctRate(20, 4)), { data: 'root', seed })).scans.map(({ id, split }) => [id, split]));
    expect(await open(5)).toBe(await open(5));
    expect(await open(5)).not.toBe(await open(6));
  });

  it('takes the validation fraction that is asked for', async () => {
    const cohort = await openCohort(memoryFiles(ctRate(20, 4)), { data: 'root', seed: 1, validationFraction: 0.5 });
    expect(count(cohort, 'validation')).toBe(30);
    await expect(openCohort(memoryFiles(ctRate(20, 4)), { data: 'root', seed: 1, validationFraction: 1 })).rejects.toThrow('between 0 and 0.8');
  });

  it('splits one side alone in three, and says so', async () => {
    const cohort = await openCohort(memoryFiles(ctRate(0, 20)), { data: 'root', seed: 1 });
    expect([count(cohort, 'train'), count(cohort, 'validation'), count(cohort, 'test')]).toEqual([42, 9, 9]);
    expect(cohort.problems.join()).toContain("only CT-RATE's valid side");
  });

  it('leaves out sections that are not given', async () => {
    const files = ctRate(6, 1);
    files['root/dataset/radiology_text_reports/train_reports.csv'] = csv('VolumeName,Findings_EN,Impressions_EN', 'train_1_a_1.nii.gz,Not given.,Normal.', 'train_2_a_1.nii.gz,Not given.,');
    const cohort = await openCohort(memoryFiles(files), { data: 'root', seed: 1 });
    expect(cohort.scans.find(({ id }) => id === 'train_1_a_1')!.report).toBe('Normal.');
    expect(cohort.scans.some(({ id }) => id === 'train_2_a_1')).toBe(false);
  });
});

describe('any folder with CSV files by path', () => {
  const ids = Array.from({ length: 20 }, (_, i) => `scan${i}`);
  const scans = Object.fromEntries(ids.map((id) => [`scans/${id}.nii.gz`, 'bytes']));
  const reports = csv('VolumeName,Findings_EN,Impressions_EN', ...ids.map((id) => `${id}.nii.gz,Findings of ${id}.,End.`));
  const labels = csv(LABEL_HEADER, ...ids.map((id) => labelLine(id)));
  const open = (files: Record<string, string>, more: object = {}): Promise<Cohort> =>
    openCohort(memoryFiles({ ...scans, ...files }), { data: 'scans', reports: 'tables/r.csv', labels: 'tables/l.csv', seed: 3, ...more });
  const base = { 'tables/r.csv': reports, 'tables/l.csv': labels };

  it('is split 70/15/15, a patient to a scan where nothing else is said', async () => {
    const cohort = await open(base);
    expect([count(cohort, 'train'), count(cohort, 'validation'), count(cohort, 'test')]).toEqual([14, 3, 3]);
    expect(cohort).toMatchObject({ name: 'scans', problems: [], splitTooSmall: false });
    expect(new Set(cohort.scans.map(({ reportId }) => reportId)).size).toBe(20);
  });

  it('keeps the scans of a PatientID together', async () => {
    const cohort = await open({ ...base, 'tables/r.csv': csv('PatientID,volumename,REPORT', ...ids.map((id, i) => `p${i >> 1},${id},Text ${id}`)) });
    expect(new Set(cohort.scans.map(({ patientId }) => patientId)).size).toBe(10);
    for (const { patientId } of cohort.scans) expect(splitOf(cohort, patientId).size).toBe(1);
  });

  it('gives equal reports one report id', async () => {
    const cohort = await open({ ...base, 'tables/r.csv': csv('VolumeName,Findings_EN', ...ids.map((id, i) => `${id},${i < 3 ? 'Normal chest.' : id}`)) });
    expect(new Set(cohort.scans.slice(0, 4).map(({ id, reportId }) => (['scan0', 'scan1', 'scan2'].includes(id) ? reportId : ''))).size).toBeLessThanOrEqual(2);
    expect(new Set(cohort.scans.map(({ reportId }) => reportId)).size).toBe(18);
  });

  it('reads semicolons, a byte-order mark and Windows lines', async () => {
    const cohort = await open({ ...base, 'tables/r.csv': `\uFEFF${reports.replaceAll(',', ';').replaceAll('\n', '\r\n')}` });
    expect(cohort.scans[0]!.report).toMatch(/^Findings of scan\d+\. End\.$/);
  });

  it('names what does not match, and goes on', async () => {
    const cohort = await open({
      'scans/extra.nii.gz': 'bytes',
      'scans/._scan1.nii.gz': 'macOS',
      'scans/copy/scan2.zip': 'bytes',
      'tables/r.csv': `${reports}gone1,Text.,\ngone2,Text.,\nscan3.nii.gz,Another text.,\n`,
      'tables/l.csv': csv(LABEL_HEADER, ...ids.slice(2).map((id) => labelLine(id)), labelLine('scan0').replace(',0', ',maybe')),
    });
    expect(cohort.scans).toHaveLength(20);
    const problems = cohort.problems.join('\n');
    expect(problems).toContain('scans without a report, left out (1): extra');
    expect(problems).toContain('reports whose scan is not there (2): gone1, gone2');
    expect(problems).toContain('scans that are there twice, the first path is used (1): scan2');
    expect(problems).toContain('scans with two different reports, the first is used (1): scan3');
    expect(problems).toContain(`labels must be 0 or 1; rows left out (1): scan0 (Medical material: 'maybe')`);
    expect(problems).toContain('scans without labels, not counted in the evaluation (2): scan0, scan1');
  });

  it('takes some of the labels, and an empty cell as unknown; says which are not there', async () => {
    const cohort = await open({ ...base, 'tables/l.csv': csv('VolumeName,Emphysema,Cardiomegaly', 'scan0,1,', 'scan1,0,1') });
    expect(cohort.problems).toContain(`l.csv: no column for 16 of the 18 labels, not evaluated: ${LABELS.filter((label) => label !== 'Emphysema' && label !== 'Cardiomegaly').join(', ')}`);
    const labelsOf = (id: string): number[] => [...cohort.scans.find((scan) => scan.id === id)!.labels!];
    expect(labelsOf('scan0')).toEqual(LABELS.map((label) => (label === 'Emphysema' ? 1 : UNLABELLED)));
    expect(labelsOf('scan1')).toEqual(LABELS.map((label) => (label === 'Emphysema' ? 0 : label === 'Cardiomegaly' ? 1 : UNLABELLED)));
  });

  it('takes patients from any table that names them', async () => {
    const files = memoryFiles({ ...scans, 'scans/r.csv': reports, 'scans/who.csv': csv('FileName,Patient', ...ids.map((id, n) => `${id}.nii.gz,p${n >> 1}`)) });
    const cohort = await openCohort(files, { data: 'scans', seed: 1 });
    expect(new Set(cohort.scans.map(({ patientId }) => patientId)).size).toBe(10);
  });

  it('shortens long lists', async () => {
    const cohort = await open({ ...base, 'tables/r.csv': `${reports}${Array.from({ length: 9 }, (_, i) => `gone${i},T,\n`).join('')}` });
    expect(cohort.problems).toContain('reports whose scan is not there (9): gone0, gone1, gone2, gone3, gone4 and 4 more');
  });

  it('goes without labels, and says so', async () => {
    const cohort = await openCohort(memoryFiles({ ...scans, ...base }), { data: 'scans', reports: 'tables/r.csv', seed: 1 });
    expect(cohort.scans.every((scan) => scan.labels === null)).toBe(true);
    expect(cohort.problems.join()).toContain('no labels CSV is found');
  });

  it('takes scans alone where that is asked for', async () => {
    const bare = memoryFiles({ 'bare/a.nii.gz': 'x', 'bare/train_2_a_1.nii.gz': 'x' });
    const { scans: found, problems } = await openCohort(bare, { data: 'bare', seed: 1, withoutTables: true });
    expect(found.map(({ id, patientId, report, labels: none }) => [id, patientId, report, none])).toEqual([['a', 'a', '', null], ['train_2_a_1', 'train_2', '', null]]);
    expect(problems[0]).toBe('neither a reports nor a labels CSV is found: the scans are taken as they are');
    // A table that is there still says which scans belong to the cohort.
    const one = memoryFiles({ 'one/a.nii.gz': 'x', 'one/b.nii.gz': 'x', 'one/r.csv': csv('VolumeName,Findings_EN', 'a,text') });
    expect((await openCohort(one, { data: 'one', seed: 1, withoutTables: true })).scans.map(({ id }) => id)).toEqual(['a']);
  });

  it('trains on all where there are under six patients, and says so', async () => {
    const few = memoryFiles({ 'few/a.nii.gz': 'x', 'few/b.zip': 'x', 'few/r.csv': csv('VolumeName,Findings_EN', 'a,one', 'b,two') });
    const cohort = await openCohort(few, { data: 'few', seed: 1 });
    expect(cohort.splitTooSmall).toBe(true);
    expect(cohort.scans.map(({ split }) => split)).toEqual(['train', 'train']);
    expect(cohort.problems.join()).toContain('2 patients are too few for train, validation and test (6 are needed)');
  });

  const errors: [string, () => Promise<unknown>, string][] = [
    ['a missing folder', () => openCohort(memoryFiles({}), { data: 'nowhere', seed: 1 }), 'openCohort: nowhere: the folder is missing'],
    ['a folder without scans', () => openCohort(memoryFiles({ 'x/readme.txt': '' }), { data: 'x', seed: 1 }), 'openCohort: x: no scan is found'],
    ['no reports anywhere', () => openCohort(memoryFiles(scans), { data: 'scans', seed: 1 }), 'neither a reports CSV (columns VolumeName and Findings_EN or Impressions_EN) nor a labels CSV is found below it; give them with --reports and --labels'],
    ['a missing CSV', () => open({ 'tables/l.csv': labels }), 'openCohort: tables/r.csv: the file is missing'],
    ['an empty CSV', () => open({ ...base, 'tables/r.csv': '' }), 'readCsv: r.csv: the file is empty'],
    ['a CSV without a scan column', () => open({ ...base, 'tables/r.csv': csv('Nr,Findings_EN', '1,x') }), `a column for the scan is needed (VolumeName or Volume or FileName or File or Scan or AccessionNo or NoteAcc_DEID or VolumeAcc_DEID), found 'Nr', 'Findings_EN'`],
    ['a CSV without a report column', () => open({ ...base, 'tables/r.csv': csv('VolumeName,Age', 'a,1') }), `a column for the report is needed (Findings_EN or Findings or report_text or Impressions_EN), found 'VolumeName', 'Age'`],
    ['a CSV without a label column', () => open({ ...base, 'tables/l.csv': csv('VolumeName,Emphysaema', 'scan0,1') }), `label columns under CT-RATE's names are needed ('Medical material', 'Arterial wall calcification', …; --columns names others), found 'VolumeName', 'Emphysaema'`],
    ['a row with too many fields', () => open({ ...base, 'tables/r.csv': `${reports}a,b,c,d,e\n` }), 'readCsv: r.csv: Invalid Record Length'],
    ['an open quote', () => open({ ...base, 'tables/r.csv': `${reports}a,"never closed,\n` }), 'readCsv: r.csv: Quote Not Closed'],
    ['no match at all', () => open({ ...base, 'tables/r.csv': csv('VolumeName,Findings_EN', 'other1,x') }), 'no scan has a report: the folder has scan0.nii.gz, scan1.nii.gz, scan10.nii.gz and 17 more, the reports name other1'],
  ];
  it.each(errors)('refuses %s', async (_, run, message) => expect(run()).rejects.toThrow(message));

  it('refuses a CSV that is not UTF-8', async () => {
    const files = memoryFiles({ ...scans, ...base, 'tables/r.csv': Uint8Array.of(0x56, 0xff, 0xfe, 0x41) });
    await expect(openCohort(files, { data: 'scans', reports: 'tables/r.csv', seed: 1 })).rejects.toThrow('the text is not UTF-8');
  });

  it('passes over an unreadable CSV that merely lies there', async () => {
    const files: FileSystem = memoryFiles({ ...scans, 'scans/r.csv': reports, 'scans/junk.csv': 'a,b\n1,2,3\n' });
    const cohort = await openCohort(files, { data: 'scans', seed: 1 });
    expect(cohort.scans).toHaveLength(20);
    expect(cohort.problems.join()).toContain('junk.csv is passed over');
  });
});

describe('splitPatients', () => {
  it('gives every part a patient and none to two', () => {
    for (const patients of [6, 7, 20, 101]) {
      const splits = splitPatients(Array.from({ length: patients }, (_, i) => `p${i}`), 0, { validation: 0.15, test: 0.15 });
      const sizes = ['train', 'validation', 'test'].map((part) => [...splits.values()].filter((split) => split === part).length);
      expect(sizes).toEqual([patients - 2 * Math.round(0.15 * patients), Math.round(0.15 * patients), Math.round(0.15 * patients)]);
    }
  });
  it('does not follow the order or the numbering of the patients', () => {
    const ids = Array.from({ length: 200 }, (_, i) => `train_${i}`);
    const splits = splitPatients(ids, 0, { validation: 0.5, test: 0 });
    expect(splitPatients([...ids].reverse(), 0, { validation: 0.5, test: 0 }).get('train_17')).toBe(splits.get('train_17'));
    const first = ids.slice(0, 100).filter((id) => splits.get(id) === 'validation').length;
    // Binomial(100, ½) has a standard deviation of 5.
    expect(Math.abs(first - 50)).toBeLessThan(20);
  });
});

describe('DICOM in a cohort', () => {
  const slice = (k: number): Uint8Array => writeDicom(ctSlice(k));

  it('a folder of slices is a scan, by its own name or that of a folder above', async () => {
    const files = memoryFiles({
      'c/p1/1.dcm': slice(0), 'c/p1/2.dcm': slice(1),
      'c/p2/study/lung/IM1': slice(0), 'c/p2/study/soft/IM1': slice(0),
      'c/p3.zip': 'x', 'c/p4/notes': 'no picture', 'c/p5/study/I10': slice(3),
      'c/r.csv': 'VolumeName,Findings_EN\np1,one\np2,two\np3.zip,three\np4,four',
    });
    const { scans, problems } = await openCohort(files, { data: 'c', seed: 1 });
    expect(scans.map(({ id, path }) => [id, path])).toEqual([['p1', 'c/p1'], ['p2', 'c/p2'], ['p3', 'c/p3.zip']]);
    expect(problems.join('\n')).toContain('scans without a report, left out (1): study');
    expect(problems.join('\n')).toContain('reports whose scan is not there (1): p4');
    expect(problems.join('\n')).not.toContain('there twice');
  });

  it('a folder of slices alone is a cohort of one', async () => {
    const files = memoryFiles({ 'x/scan/1.dcm': slice(0), 'r.csv': 'VolumeName,Findings_EN\nscan,one' });
    const { scans } = await openCohort(files, { data: 'x/scan', reports: 'r.csv', seed: 1 });
    expect(scans.map(({ id, path }) => [id, path])).toEqual([['scan', 'x/scan']]);
  });
});
