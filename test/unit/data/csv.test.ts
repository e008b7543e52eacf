import { expect, it } from 'vitest';
import { readCsv } from '../../../src/data/csv.ts';

it.each([
  ['bytes', new TextEncoder().encode('\ufeffVolumeName,Findings_EN\na.nii.gz,clear\n')],
  ['text', '\ufeff"VolumeName",Findings_EN\na.nii.gz,clear\n'],
])('a byte-order mark, as spreadsheets write it, is no part of the first column (%s)', (_, content) => {
  const { columns, rows } = readCsv(content, 'reports.csv');
  expect(columns).toEqual(['VolumeName', 'Findings_EN']);
  expect(rows).toHaveLength(1);
});
