/**
 * Which labels a phantom carries: a Gaussian copula with CT-RATE's prevalences and co-occurrences.
 *
 * The constants below are statistics, not data. They were computed once from the 18 predicted labels of CT-RATE's training
 * split (Hamamci et al., 24,128 scans after keeping one reconstruction of each scan): the mean of each label, and for each pair
 * the tetrachoric correlation (the correlation of two thresholded normal variables that gives the pair's joint frequency),
 * rounded to 2 decimals. The rounded matrix is positive definite (smallest eigenvalue 0.056).
 */
import type { RandomStream } from './random.ts';

/** Share of scans with each label, in the order of LABELS. */
export const CT_RATE_PREVALENCE: readonly number[] = [
  0.12, 0.278, 0.107, 0.071, 0.248, 0.142, 0.253, 0.194, 0.256, 0.455, 0.367, 0.267, 0.118, 0.074, 0.103, 0.175, 0.1, 0.079,
];

/** Tetrachoric correlations, strictly lower triangle: row i holds the pairs (i, 0 … i−1). */
export const CT_RATE_CORRELATION: readonly (readonly number[])[] = [
  [],
  [0.32],
  [0.38, 0.61],
  [0.32, 0.29, 0.41],
  [0.35, 0.93, 0.59, 0.28],
  [0.09, 0.39, 0.21, 0.12, 0.37],
  [0.21, 0.39, 0.37, 0.25, 0.34, 0.16],
  [0.12, 0.47, 0.09, 0.1, 0.41, 0.23, 0.18],
  [0.29, 0.39, 0.33, 0.34, 0.37, 0.21, 0.16, 0.27],
  [0.05, 0.16, -0.09, 0, 0.13, 0.14, 0.09, 0.28, 0.08],
  [0.08, 0.16, 0.18, 0.12, 0.15, 0.07, 0.25, -0.08, 0.03, -0.2],
  [0.05, 0.24, 0.07, 0.02, 0.21, 0.2, 0.11, 0.32, -0.04, 0.27, -0.02],
  [0.5, 0.41, 0.54, 0.6, 0.4, 0.02, 0.39, 0.16, 0.51, -0.08, 0.2, -0.07],
  [0.17, 0.4, 0.51, 0.18, 0.37, 0.2, 0.21, -0.17, 0.22, 0.1, -0.05, 0.16, 0.19],
  [0.2, 0.36, 0.24, 0.25, 0.33, 0.21, 0.28, 0.3, 0.17, 0.18, 0.1, 0.23, 0.28, 0.25],
  [0.21, 0.18, 0.23, 0.27, 0.16, 0.06, 0.29, -0.03, 0.09, -0.23, 0.57, -0.11, 0.41, -0.09, 0.15],
  [0.05, 0.22, -0.1, 0.03, 0.15, 0.14, 0.16, 0.31, 0.09, 0.17, 0.03, 0.27, -0.08, -0.07, 0.57, 0.02],
  [0.27, 0.33, 0.43, 0.31, 0.32, 0.12, 0.35, 0.04, 0.12, -0.1, 0.44, -0.06, 0.52, 0.18, 0.26, 0.26, 0.08],
];

/**
 * Raises rare labels to this share. CT-RATE's rarest label stands on 7 % of the scans: a cohort of a few hundred phantoms would
 * leave a validation split with a handful of cases and intervals that say nothing. 0 gives CT-RATE's own prevalences.
 */
export const DEFAULT_PREVALENCE_FLOOR = 0.12;

/** The share of scans that carry each label at a given floor. */
export function labelPrevalence(floor: number = DEFAULT_PREVALENCE_FLOOR): number[] {
  if (!(floor >= 0 && floor < 1)) throw new Error(`labelPrevalence: the floor must be in [0, 1), got ${floor}; 0 keeps CT-RATE's prevalences`);
  return CT_RATE_PREVALENCE.map((share) => Math.max(share, floor));
}

let factor: number[][] | null = null;

/** Cholesky factor L of the correlation matrix, L·Lᵀ = R. */
function correlationFactor(): number[][] {
  if (factor) return factor;
  const n = CT_RATE_CORRELATION.length;
  const lower: number[][] = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = i === j ? 1 : CT_RATE_CORRELATION[i]![j]!;
      for (let k = 0; k < j; k++) rest -= lower[i]![k]! * lower[j]![k]!;
      lower[i]![j] = i === j ? Math.sqrt(rest) : rest / lower[j]![j]!;
    }
  }
  return (factor = lower);
}

/** The label vector's hidden normal variables: independent standard normals, one a label. */
export function drawLatent(random: RandomStream): number[] {
  return CT_RATE_PREVALENCE.map(() => random.normal());
}

/** 18 zeros and ones in the order of LABELS from independent normals: correlate them, then cut each at its prevalence's quantile. */
export function labelsFromLatent(latent: readonly number[], floor?: number): Uint8Array {
  const lower = correlationFactor();
  const share = labelPrevalence(floor);
  return Uint8Array.from(share, (p, i) => {
    let value = 0;
    for (let j = 0; j <= i; j++) value += lower[i]![j]! * latent[j]!;
    return value < normalQuantile(p) ? 1 : 0;
  });
}

/** Inverse of the standard normal distribution function by bisection on its series; 1e-9 is far below what a prevalence needs. */
function normalQuantile(probability: number): number {
  let low = -8;
  let high = 8;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (normalDistribution(middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Φ(x) by Marsaglia's series (Journal of Statistical Software 11(4), 2004): exact to rounding for |x| ≤ 8. */
function normalDistribution(x: number): number {
  let sum = x;
  let term = x;
  for (let i = 3; i < 400 && Math.abs(term) > 1e-17; i += 2) sum += term = (term * x * x) / i;
  return 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}
