import { describe, expect, it } from 'vitest';
import { readCsv } from '../../../src/data/index.ts';
import { formatCsv } from '../../../src/data/csv.ts';
import { compareModels } from '../../../src/train/compare.ts';
import { evaluateSplit } from '../../../src/train/evaluate.ts';
import { formatP, renderEvaluation } from '../../../src/train/evaluation-report.ts';
import { evaluationCsv, evaluationJson, type EvaluationResult } from '../../../src/train/evaluation-tables.ts';
import { measureRetrieval } from '../../../src/train/retrieval.ts';
import { gaussian, seededRandom, uniform } from '../../../src/train/sampler.ts';

const EVIL = `<script>alert("1")</script> & 'x'`;
const labels = ['Cardiomegaly', EVIL, 'Never'];

function split(scans: number, seed: number) {
  const random = seededRandom(seed, 'split');
  const truths = Uint8Array.from({ length: scans * 3 }, (_, at) => (at % 3 < 2 && uniform(random) < 0.4 ? 1 : 0));
  return { scores: Float64Array.from(truths, (truth) => 1 / (1 + Math.exp(-truth - gaussian(random)))), truths };
}

const [validation, test] = [split(30, 1), split(40, 2)];
const patientIds = Array.from({ length: 40 }, (_, n) => `p${n >> 1}`);
const scans = patientIds.map((patientId, n) => ({ patientId, reportId: `r${n >> 1}`, report: `report ${n >> 1}` }));
const vectors = (count: number) => Array.from({ length: count }, (_, n) => Float32Array.from({ length: 20 }, (__, at) => (at === n % 20 ? 1 : 0)));
const options = { seed: 3, resamples: 50 };
const result: EvaluationResult = {
  name: `model ${EVIL}`, split: 'the test split', version: '0.1.0', madeAt: '2026-01-02T03:04:05Z', scans: { validation: 30, test: 40 }, patients: { validation: 30, test: 20 },
  ...evaluateSplit(validation, test, patientIds, options, 'the test split', labels),
  retrieval: measureRetrieval(scans, vectors(40), vectors(20), options),
  comparison: compareModels({ a: `a ${EVIL}`, b: 'b' }, labels, test, { scores: split(40, 9).scores, truths: test.truths }, patientIds, options),
  facts: [['Fact', EVIL]], notes: [`note ${EVIL}`],
};

describe('renderEvaluation', () => {
  const page = renderEvaluation(result);
  it('escapes every text, and asks for nothing outside itself', () => {
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/\b(src|href|srcset)\s*=|url\(|@import|<link|<iframe/);
    expect(page.split('&lt;script&gt;').length).toBeGreaterThan(8);
  });
  it('says what cannot be measured, and draws what can', () => {
    expect(page).toContain('not measurable, and in no mean: no positive among the 40 scans of the test split');
    expect(page).toContain('Mean of 2 labels');
    // Two ROC curves and two reliability curves, each in words too.
    expect(page.match(/role="img" aria-label="/g)).toHaveLength(4);
    expect(page).toContain('Volume → report');
    expect(page).toContain('R@50, R@100 would be 1 for any model');
  });
  it('is whole without validation, probabilities, retrieval and comparison', () => {
    const bare = evaluateSplit({ scores: new Float64Array(), truths: new Uint8Array() }, { ...test, scores: test.scores.map((score) => 10 * score - 5) }, patientIds, options, 'all scans', labels);
    const plain = renderEvaluation({ ...result, ...bare, retrieval: null, comparison: null, notes: [] });
    expect(plain).toContain('no validation split to fit thresholds on');
    expect(plain).not.toMatch(/Reliability|undefined|NaN/);
  });
});

describe('the tables', () => {
  const csv = readCsv(formatCsv(evaluationCsv(result)), 'evaluation.csv');
  const json = JSON.parse(evaluationJson(result)) as { labels: Record<string, { value: number; interval95: { low: number } | null }>[]; mean: Record<string, { value: number }> };
  it('say the same', () => {
    expect(csv.rows.map((row) => row[0])).toEqual([...labels, 'mean of 2 labels']);
    for (const measure of ['auroc', 'averagePrecision', 'weightedF1', 'brier', 'ece']) {
      const column = csv.columns.indexOf(measure);
      expect(Number(csv.rows[0]![column])).toBe(json.labels[0]![measure]!.value);
      expect(Number(csv.rows[0]![column + 1])).toBe(json.labels[0]![measure]!.interval95!.low);
      expect(Number(csv.rows[3]![column])).toBe(json.mean[measure]!.value);
      expect(csv.rows[2]![column]).toBe('');
    }
    expect(Number(csv.rows[0]![csv.columns.indexOf('delong_p')])).toBe(result.comparison!.labels[0]!.test!.p);
  });
});

it('never prints a p-value as 0', () => expect([1e-9, 0.0234, null].map(formatP)).toEqual(['< 0.0001', '0.023', '–']));
