import { describe, expect, it } from 'vitest';
import { LABELS, type CohortScan } from '../../../src/data/index.ts';
import { evaluateSplit, evaluationScans, scoreLabels } from '../../../src/train/evaluate.ts';

describe('scoreLabels', () => {
  const scale = 3;
  const prompts = { present: [Float32Array.of(1, 0), Float32Array.of(0, 1)], absent: [Float32Array.of(0, 1), Float32Array.of(0.6, 0.8)], scale };

  it('is the softmax over the logits of "present" and "not present", present above a half where the volume is nearer to it', () => {
    const volume = Float32Array.of(0.8, 0.6);
    const softmax = (present: number, absent: number): number => Math.exp(scale * present) / (Math.exp(scale * present) + Math.exp(scale * absent));
    const scores = scoreLabels(volume, prompts);
    expect(scores[0]).toBeCloseTo(softmax(0.8, 0.6), 6);
    expect(scores[1]).toBeCloseTo(softmax(0.6, 0.96), 6);
    expect(scores[0]).toBeGreaterThan(0.5);
    expect(scores[1]).toBeLessThan(0.5);
  });
});

describe('evaluateSplit', () => {
  const patients = (count: number): string[] => Array.from({ length: count }, (_, n) => `p${n}`);
  /** Every label alike: one row of scores and truths. */
  const split = (scores: number[], truths: number[]) => ({ scores: Float64Array.from(scores.flatMap((score) => LABELS.map(() => score))), truths: Uint8Array.from(truths.flatMap((truth) => LABELS.map(() => truth))) });

  it('fits the thresholds on the validation split, never on the evaluated one', () => {
    const { metrics, intervals } = evaluateSplit(split([0.1, 0.7, 0.9], [0, 0, 1]), split([0.2, 0.3, 0.5, 0.6], [0, 0, 1, 1]), patients(4), { seed: 1 });
    expect(metrics.mean.auroc).toBe(1);
    expect(metrics.labels[0]!.threshold).toBe(0.9);
    // At 0.9 nothing of the test split counts as positive, though 0.5 would part it without an error.
    expect(metrics.labels[0]!.classification!.accuracy).toBe(0.5);
    expect(intervals.patients).toBe(4);
  });

  it('counts a score at the threshold as positive', () => {
    const { metrics } = evaluateSplit(split([0.1, 0.7, 0.9], [0, 0, 1]), split([0.2, 0.3, 0.5, 0.9], [0, 0, 1, 1]), patients(4), { seed: 1 });
    expect(metrics.labels[0]!.classification).toMatchObject({ accuracy: 0.75, precision: 1 });
  });
});

describe('evaluationScans', () => {
  const scan = (id: string, split: CohortScan['split'], labels: CohortScan['labels'] = new Uint8Array(LABELS.length)): CohortScan => ({ id, path: id, patientId: id, reportId: id, report: '', labels, split });
  const ids = ({ test, validation, where }: ReturnType<typeof evaluationScans>) => ({ test: test.map(({ id }) => id), validation: validation.map(({ id }) => id), where });

  it('are the labelled ones of the test split, with thresholds from the validation split', () => {
    const scans = [scan('a', 'train'), scan('b', 'validation'), scan('c', 'test'), scan('d', 'test', null), scan('e', 'validation', null)];
    expect(ids(evaluationScans({ scans, splitTooSmall: false }))).toEqual({ test: ['c'], validation: ['b'], where: 'the test split' });
  });

  it('are those that were trained on where there are too few to split, and no threshold is fitted on them', () => {
    expect(ids(evaluationScans({ scans: [scan('a', 'train'), scan('b', 'train', null)], splitTooSmall: true }))).toEqual({ test: ['a'], validation: [], where: 'the training scans' });
  });
});
