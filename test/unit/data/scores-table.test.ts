import { describe, expect, it } from 'vitest';
import { alignScores, readCsv, readScores, UNLABELLED } from '../../../src/data/index.ts';

const table = (name: string, ...lines: string[]) => readCsv(`${lines.join('\n')}\n`, name);
const truths = table('labels.csv', 'VolumeName,Nodule,Effusion,PatientID', 'a.nii.gz,1,0,p1', 'sub/b.nii.gz,0,,p1', 'c.nii.gz,true,1.0,p2');
const scores = table('scores.csv', 'id,split,Effusion,Nodule', 'c,test,0.9,-3', 'a,val,0.2,1e2');

describe('readScores', () => {
  it('joins by file name, in the order of the scores, and knows patients and splits', () => {
    const got = readScores(scores, truths);
    expect(got).toMatchObject({ labels: ['Effusion', 'Nodule'], ids: ['c', 'a'], patientIds: ['p2', 'p1'], splits: ['test', 'validation'] });
    expect([...got.scores]).toEqual([0.9, -3, 0.2, 100]);
    expect([...got.truths]).toEqual([1, 1, 0, 1]);
    expect(got.notes).toEqual(['1 of the 3 scans in labels.csv have no scores in scores.csv and are not counted']);
  });
  it('takes an empty truth as unknown', () => expect([...readScores(table('s.csv', 'id,Effusion', 'b,0.5'), truths).truths]).toEqual([UNLABELLED]));
  it('takes patients from CT-RATE\'s names, and says where there is none', () => {
    const both = (id: string) => readScores(table('s.csv', 'id,x', `${id},1`), table('t.csv', 'id,x', `${id},1`));
    expect(both('valid_7_b_2')).toMatchObject({ patientIds: ['valid_7'], notes: [] });
    expect(both('scan9').patientIds).toEqual(['scan9']);
    expect(both('scan9').notes[0]).toContain('1 scans name no patient');
  });
  it.each([
    ['no scan column', table('s.csv', 'name,Nodule', 'a,1'), "s.csv: a column for the scan is needed (id or VolumeName"],
    ['no label column', table('s.csv', 'id,split', 'a,test'), 's.csv: one column a label is needed'],
    ['a label without truths', table('s.csv', 'id,Nodul', 'a,1'), "labels.csv: no column for 'Nodul' of s.csv, found 'VolumeName', 'Nodule'"],
    ['NaN', table('s.csv', 'id,Nodule', 'a,NaN'), "s.csv: a: Nodule: a score must be a number, got 'NaN'"],
    ['an empty score', table('s.csv', 'id,Nodule', 'a,'), "s.csv: a: Nodule: a score must be a number, got ''"],
    ['an unknown scan', table('s.csv', 'id,Nodule', 'a,1', 'x,1', 'y,1'), 'labels.csv has no labels for 2 of 3 scans: x, y'],
    ['a scan twice', table('s.csv', 'id,Nodule', 'a,1', 'a.nii.gz,1'), 's.csv: each scan must be there once, 1 are there again: a'],
    ['another split', table('s.csv', 'id,split,Nodule', 'a,train,1'), "split must be validation or test, got 'train'"],
    ['no rows', table('s.csv', 'id,Nodule'), 's.csv: the table has no rows'],
  ])('refuses %s', (_, bad, message) => expect(() => readScores(bad, truths)).toThrow(message));
  it('refuses truths other than 0 and 1', () => expect(() => readScores(table('s.csv', 'id,x', 'a,1'), table('t.csv', 'id,x', 'a,2'))).toThrow("t.csv: a: x: a label must be 0, 1 or empty, got '2'"));
});

describe('alignScores', () => {
  const first = { name: 'first', ids: ['c', 'a'], labels: ['Nodule'] };
  it('follows the first model\'s scans and labels', () => expect([...alignScores(first, table('s.csv', 'Nodule,id,Other', '1,a,9', '2,b,9', '3,c,9'))]).toEqual([3, 1]));
  it('refuses what lacks a scan or a label', () => {
    expect(() => alignScores(first, table('s.csv', 'id,Nodule', 'a,1'))).toThrow('both models must score the same scans, 1 of the 2 in first are missing: c');
    expect(() => alignScores(first, table('s.csv', 'id,Mass', 'a,1', 'c,1'))).toThrow("a column for the label 'Nodule' is needed");
  });
});
