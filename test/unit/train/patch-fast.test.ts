import { describe, expect, it } from 'vitest';
import { patchFolds, patchSpacing } from '../../../src/train/patch-fast.ts';
import { PATCH_MEASURES, patchInputName, type PatchArm } from '../../../src/train/patch-fast-result.ts';
import { LEAST_PATIENTS_TO_DRAW, summarizePatches, type MeasuredPatches } from '../../../src/train/patch-fast-summary.ts';
import { normalizeRows, rowCosine, type PatchValues, teacherCentre } from '../../../src/train/patch-measures.ts';

const valuesOf = (gram: (number | null)[]): PatchValues => Object.fromEntries(PATCH_MEASURES.map((measure) => [measure, measure === 'gram' ? gram : gram.map(() => null)])) as PatchValues;

function measured(patients: string[], arms: Partial<Record<PatchArm, (number | null)[]>>): MeasuredPatches {
  const names = [...new Set(patients)];
  return {
    scans: patients, patients, folds: patients.map((patient) => names.indexOf(patient)), foldCount: names.length, seed: 5,
    values: new Map(Object.entries(arms).map(([arm, gram]) => [arm as PatchArm, new Map([[50, valuesOf(gram)]])])),
  };
}

const two = ['a', 'a', 'a', 'b', 'b', 'b'];

describe('summarizePatches', () => {
  const { arms, differences, resampled } = summarizePatches(measured(two, { compression: [1, 2, 3, 7, 8, 9], fast: [0.5, 1.5, 2.5, 6.5, 7.5, 8.5] }));
  const gram = arms[0]!.cells[0]!.measures.gram!;

  it('gives means over all patches and over each fold', () => {
    expect(gram.mean).toBe(5);
    expect(gram.folds).toEqual([2, 8]);
    expect(gram.deviation).toBeCloseTo(Math.sqrt((16 + 9 + 4 + 4 + 9 + 16) / 5), 12);
    expect(arms[0]!.cells[0]!.measures.featureCosine).toBeNull();
  });

  it('draws patches within their scan: the spread between scans is not in the interval', () => {
    expect(resampled).toBe('patches');
    // The mean of three of 1, 2, 3 and three of 7, 8, 9 cannot leave [4, 6]; drawn from all six it would.
    expect(gram.interval!.low).toBeGreaterThanOrEqual(4);
    expect(gram.interval!.high).toBeLessThanOrEqual(6);
    expect(gram.interval!.high - gram.interval!.low).toBeGreaterThan(0.5);
  });

  it('takes differences patch by patch: a constant one has an interval of no width', () => {
    const { mean, interval } = differences[0]!.cells[0]!.measures.gram!;
    expect(mean).toBe(-0.5);
    expect(interval!.low).toBeCloseTo(-0.5, 12);
    expect(interval!.high).toBeCloseTo(-0.5, 12);
  });

  it('draws patients once there are enough of them', () => {
    const patients = Array.from({ length: 2 * LEAST_PATIENTS_TO_DRAW }, (_, n) => `p${Math.floor(n / 2)}`);
    const summary = summarizePatches(measured(patients, { compression: patients.map((patient) => Number(patient.slice(1))) }));
    expect(summary.resampled).toBe('patients');
    const { mean, interval } = summary.arms[0]!.cells[0]!.measures.gram!;
    expect(mean).toBe(4.5);
    expect(interval!.high - interval!.low).toBeGreaterThan(2);
    expect(summary.differences).toEqual([]);
  });
});

describe('patchFolds', () => {
  it('leaves every patient out once, each alone where they are few', () => {
    expect(patchFolds(['b', 'a', 'b', 'c'], 5, 0)).toEqual([['a'], ['b'], ['c']]);
    const many = Array.from({ length: 12 }, (_, n) => `p${n}`);
    const folds = patchFolds(many, 5, 1);
    expect(folds).toHaveLength(5);
    expect(folds.flat().sort()).toEqual([...many].sort());
    expect(patchFolds(many, 5, 2)).not.toEqual(folds);
  });

  it('refuses a single patient', () => expect(() => patchFolds(['a', 'a'], 5, 0)).toThrow('scans of at least two patients are needed'));
});

describe('measures', () => {
  it('normalises rows as LayerNorm without affine', () => {
    const y = normalizeRows([1, 2, 3, 10, 10, 10], 3);
    expect(y[0]).toBeCloseTo(-1.224736, 5);
    expect([...y.subarray(3)]).toEqual([0, 0, 0]);
  });

  it('takes cosines less a centre', () => {
    expect(rowCosine([9, 9, 1, 0], [9, 9, 1, 1], 2, [0, 0])).toBeCloseTo(Math.SQRT1_2, 12);
    expect(rowCosine([5, 5, 6, 5], [5, 5, 5, 6], 2, [5, 5])).toBe(0);
    expect(rowCosine([5, 5], [1, 2], 0, [5, 5])).toBe(0);
  });

  it('averages the teacher over groups of different size', () => {
    const view = (rows: number[][]): Parameters<typeof teacherCentre>[0][0] => ({ tokens: [Float64Array.from(rows.flat())], pooled: Float32Array.from(rows.flat()), channels: 2 });
    const { tokens, pooled } = teacherCentre([view([[1, 0], [2, 0]]), view([[6, 3]])]);
    expect([...tokens[0]!]).toEqual([3, 1]);
    expect([...pooled]).toEqual([3, 1]);
  });
});

it('patches are finer than the preset that reads them, and inputs have names', () => {
  expect(patchSpacing('tiny')).toEqual([3, 1.5, 1.5]);
  expect(patchSpacing('tiny-fine')).toEqual([3, 1.5, 1.5]);
  expect(patchSpacing('small')).toEqual([1.5, 0.75, 0.75]);
  expect([patchInputName(30), patchInputName('8-bit')]).toEqual(['JPEG 30', '8-bit, no JPEG']);
});
