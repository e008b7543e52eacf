/**
 * DeLong's test of two paired AUROCs (DeLong, DeLong & Clarke-Pearson 1988) by midranks in O(n log n) (Sun & Xu 2014, "Fast
 * Implementation of DeLong's Algorithm for Comparing the Areas Under Correlated Receiver Operating Characteristic Curves").
 *
 * It takes scans as independent. Where patients have several scans its intervals are too narrow: the paired bootstrap over patients
 * (compare.ts) is then the one to read.
 */
import { erfcReference } from '../autograd/index.ts';
import { ascendingOrder } from './label-measures.ts';

/** The 97.5 % point of the standard normal distribution. */
const Z95 = 1.959963984540054;

export interface DeLongTest {
  /** Mean AUROC or AUROC of the two models, and a − b. */
  a: number;
  b: number;
  difference: number;
  standardError: number;
  /** 95 % interval of the difference. */
  low: number;
  high: number;
  /** null where the standard error is 0: the models order all pairs alike, or separate perfectly. */
  z: number | null;
  /** Two-sided; 1 where the models order all pairs alike, null where the standard error is 0 and they differ. */
  p: number | null;
}

/** AUROC and each scan's share in its variance: AUROC ≈ its expectation + the sum of `influence` over the scans. */
export interface AurocInfluence {
  auroc: number;
  /** One a scan. The sum of their squares is DeLong's variance. */
  influence: Float64Array;
}

/** Rank of each score from 1, the mean of their ranks for tied ones. */
export function midranks(scores: ArrayLike<number>): Float64Array {
  const order = ascendingOrder(scores);
  const ranks = new Float64Array(scores.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to += 1;
    for (let at = from; at < to; at += 1) ranks[order[at]!] = (from + to + 1) / 2;
    from = to;
  }
  return ranks;
}

/**
 * Structural components V10 of the m positives and V01 of the n negatives, centred, over √(m(m−1)) and √(n(n−1)).
 *
 * @returns null with fewer than two scans of a class: there is no variance then
 */
export function aurocInfluence(scores: ArrayLike<number>, truth: ArrayLike<number>): AurocInfluence | null {
  const rowsOf = (value: number): number[] => Array.from({ length: truth.length }, (_, n) => n).filter((n) => truth[n] === value);
  const [positives, negatives] = [rowsOf(1), rowsOf(0)];
  const [m, n] = [positives.length, negatives.length];
  if (m < 2 || n < 2) return null;
  const all = midranks(scores);
  const amongPositives = midranks(positives.map((row) => scores[row]!));
  const amongNegatives = midranks(negatives.map((row) => scores[row]!));
  const auroc = (positives.reduce((sum, row) => sum + all[row]!, 0) - (m * (m + 1)) / 2) / (m * n);
  const influence = new Float64Array(truth.length);
  positives.forEach((row, at) => (influence[row] = ((all[row]! - amongPositives[at]!) / n - auroc) / Math.sqrt(m * (m - 1))));
  negatives.forEach((row, at) => (influence[row] = (1 - (all[row]! - amongNegatives[at]!) / m - auroc) / Math.sqrt(n * (n - 1))));
  return { auroc, influence };
}

/** Two models on the same scans of one label; null with fewer than two scans of a class. */
export function deLongTest(scoresA: ArrayLike<number>, scoresB: ArrayLike<number>, truth: ArrayLike<number>): DeLongTest | null {
  const [a, b] = [aurocInfluence(scoresA, truth), aurocInfluence(scoresB, truth)];
  return a && b && testDifference(a.auroc, b.auroc, a.influence.map((value, row) => value - b.influence[row]!));
}

export interface PairedColumn {
  scoresA: Float64Array;
  scoresB: Float64Array;
  truth: Uint8Array;
  /** Their scans' numbers in the split, so that what labels share is known. */
  rows: Uint32Array;
}

/**
 * The difference of the mean AUROCs over labels [O]: DeLong's components of the labels averaged scan by scan, so that labels measured
 * on the same scans count as correlated. For one label it is `deLongTest`. Labels without variance take no part.
 *
 * @param scans number of scans in the split
 */
export function deLongMeanTest(columns: readonly PairedColumn[], scans: number): DeLongTest | null {
  const measured = columns.flatMap(({ scoresA, scoresB, truth, rows }) => {
    const [a, b] = [aurocInfluence(scoresA, truth), aurocInfluence(scoresB, truth)];
    return a && b ? [{ a, b, rows }] : [];
  });
  if (measured.length === 0) return null;
  const shares = new Float64Array(scans);
  for (const { a, b, rows } of measured) rows.forEach((row, at) => (shares[row]! += (a.influence[at]! - b.influence[at]!) / measured.length));
  const mean = (of: 'a' | 'b'): number => measured.reduce((sum, each) => sum + each[of].auroc, 0) / measured.length;
  return testDifference(mean('a'), mean('b'), shares);
}

function testDifference(a: number, b: number, shares: Float64Array): DeLongTest {
  const difference = a - b;
  const standardError = Math.sqrt(shares.reduce((sum, share) => sum + share * share, 0));
  const z = standardError > 0 ? difference / standardError : null;
  const p = z !== null ? erfcReference(Math.abs(z) / Math.SQRT2) : difference === 0 ? 1 : null;
  return { a, b, difference, standardError, low: difference - Z95 * standardError, high: difference + Z95 * standardError, z, p };
}

/** Holm's step-down adjustment for several tests (Holm 1979), in the order given; null stays null and counts as no test. */
export function holmAdjust(pValues: readonly (number | null)[]): (number | null)[] {
  const order = pValues.flatMap((p, at) => (p === null ? [] : [{ p, at }])).sort((x, y) => x.p - y.p);
  const adjusted: (number | null)[] = pValues.map(() => null);
  let least = 0;
  order.forEach(({ p, at }, place) => {
    least = Math.max(least, Math.min(1, (order.length - place) * p));
    adjusted[at] = least;
  });
  return adjusted;
}
