/** Whether scores mean what they say: of the scans scored 0.3, do three in ten have the finding? */

/** Equal widths over [0, 1], as scikit-learn's calibration_curve(strategy="uniform"): a score on an edge is in the bin below it. */
export const CALIBRATION_BINS = 10;

export interface CalibrationBin {
  /** Scans in the bin. */
  count: number;
  /** Mean score of them, and how many of them have the finding, as a share; 0 where the bin is empty. */
  meanScore: number;
  observed: number;
}

export function isProbability(score: number): boolean {
  return score >= 0 && score <= 1;
}

export function calibrationBin(score: number): number {
  // Edges as numpy.linspace computes them: number times step.
  let bin = 0;
  while (bin + 1 < CALIBRATION_BINS && score > (bin + 1) * (1 / CALIBRATION_BINS)) bin += 1;
  return bin;
}

/** The reliability curve: all bins, empty ones included; null where a score lies outside [0, 1]. */
export function reliabilityCurve(scores: ArrayLike<number>, truth: ArrayLike<number>): CalibrationBin[] | null {
  const sums = Array.from({ length: CALIBRATION_BINS }, () => ({ count: 0, scores: 0, positives: 0 }));
  for (let n = 0; n < scores.length; n += 1) {
    if (!isProbability(scores[n]!)) return null;
    const bin = sums[calibrationBin(scores[n]!)]!;
    bin.count += 1;
    bin.scores += scores[n]!;
    bin.positives += truth[n]!;
  }
  return sums.map(({ count, scores: sum, positives }) => ({ count, meanScore: count && sum / count, observed: count && positives / count }));
}
