import { describe, expect, it } from 'vitest';
import { distinctReports, measureRetrieval, RECALL_DEPTHS } from '../../../src/train/retrieval.ts';
import { gaussian, seededRandom } from '../../../src/train/sampler.ts';

/** `patients` patients of two reconstructions with one report each. */
function cohort(patients: number) {
  return Array.from({ length: 2 * patients }, (_, n) => ({ patientId: `p${n >> 1}`, reportId: `r${n >> 1}`, report: `report ${n >> 1}` }));
}

/** A unit vector that is `strength` parts the axis `at`, the rest noise. */
function vector(size: number, at: number, strength: number, seed: number): Float32Array {
  const random = seededRandom(seed, 'vector', at);
  const values = Float64Array.from({ length: size }, (_, n) => gaussian(random) + (n === at ? strength * Math.sqrt(size) : 0));
  const norm = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / norm);
}

describe('distinctReports', () => {
  it('takes reconstructions and equal words as one report', () => {
    const scans = [['a', 'x'], ['a', 'x'], ['b', 'y'], ['c', ' x ']].map(([reportId, report]) => ({ patientId: reportId!, reportId: reportId!, report: report! }));
    expect(distinctReports(scans)).toEqual({ texts: ['x', 'y'], reportOf: Uint32Array.from([0, 0, 1, 0]) });
  });
  it('takes the first text of a report id, should they differ', () => {
    const scans = ['x', 'y'].map((report) => ({ patientId: 'p', reportId: 'r', report }));
    expect(distinctReports(scans)).toEqual({ texts: ['x'], reportOf: Uint32Array.from([0, 0]) });
  });
});

describe('measureRetrieval', () => {
  const scans = cohort(120);
  const reports = Array.from({ length: 120 }, (_, n) => vector(128, n, 1, 1));

  it('finds every match of embeddings that agree, with reconstructions as matches of one report', () => {
    const volumes = scans.map((_, n) => reports[n >> 1]!);
    const { volumeToReport, reportToVolume } = measureRetrieval(scans, volumes, reports, { seed: 1, resamples: 30 });
    expect(volumeToReport).toMatchObject({ queries: 240, candidates: 120, medianRank: 1 });
    expect(reportToVolume).toMatchObject({ queries: 120, candidates: 240, medianRank: 1 });
    for (const { recall, interval } of [...volumeToReport.recalls, ...reportToVolume.recalls]) {
      expect(recall).toBe(1);
      expect(interval).toMatchObject({ low: 1, high: 1, used: 30 });
    }
  });

  it('agrees with a sort of all candidates', () => {
    const volumes = scans.map((_, n) => vector(128, n >> 1, 0.15, 7 + (n & 1)));
    const { volumeToReport, reportToVolume } = measureRetrieval(scans, volumes, reports, { seed: 1, resamples: 10 });
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, n) => sum + value * b[n]!, 0);
    const placeOf = (scores: number[], matches: (at: number) => boolean): number => scores.map((score, at) => ({ score, at })).sort((a, b) => b.score - a.score).findIndex(({ at }) => matches(at)) + 1;
    const byVolume = volumes.map((volume, n) => placeOf(reports.map((report) => dot(volume, report)), (at) => at === n >> 1));
    const byReport = reports.map((report, n) => placeOf(volumes.map((volume) => dot(volume, report)), (at) => at >> 1 === n));
    for (const [result, places] of [[volumeToReport, byVolume], [reportToVolume, byReport]] as const) {
      expect(result.recalls.map(({ k }) => k)).toEqual([...RECALL_DEPTHS]);
      for (const { k, recall, interval } of result.recalls) {
        expect(recall).toBeCloseTo(places.filter((place) => place <= k).length / places.length, 12);
        expect(interval!.low).toBeLessThanOrEqual(recall);
      }
    }
    expect(volumeToReport.recalls[0]!.recall).toBeLessThan(1);
  });

  it('counts ties against the model: equal scores everywhere rank last, whatever the order of the files', () => {
    const same = vector(16, 0, 1, 1);
    const { volumeToReport, reportToVolume } = measureRetrieval(scans, scans.map(() => same), reports.map(() => same), { seed: 1, resamples: 5 });
    expect(volumeToReport.medianRank).toBe(120);
    expect(reportToVolume.medianRank).toBe(239);
    expect(volumeToReport.recalls.every(({ recall }) => recall === 0)).toBe(true);
  });

  it('states chance: k of the candidates, and more where a query has two matches', () => {
    const { volumeToReport, reportToVolume } = measureRetrieval(scans, scans.map((_, n) => reports[n >> 1]!), reports, { seed: 1, resamples: 1 });
    expect(volumeToReport.recalls[0]!.chance).toBeCloseTo(5 / 120, 12);
    expect(reportToVolume.recalls[0]!.chance).toBeCloseTo(1 - (235 * 234) / (240 * 239), 12);
  });

  it('leaves out depths that any model reaches', () => {
    const { volumeToReport } = measureRetrieval(scans.slice(0, 20), scans.slice(0, 20).map((_, n) => reports[n >> 1]!), reports.slice(0, 10), { seed: 1, resamples: 1 });
    expect(volumeToReport.recalls.map(({ k }) => k)).toEqual([5]);
    expect(volumeToReport.leftOut).toEqual([10, 50, 100]);
  });

  it('refuses NaN and wrong numbers', () => {
    const two = cohort(1);
    expect(() => measureRetrieval(two, two.map(() => new Float32Array([NaN])), [new Float32Array([1])], { seed: 1 })).toThrow('is NaN');
    expect(() => measureRetrieval(two, [], [new Float32Array([1])], { seed: 1 })).toThrow('one embedding a scan and a report is needed, 2 and 1, got 0 and 1');
  });
});
