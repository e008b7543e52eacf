import type { HeadConfig } from './presets.ts';
import { coreDeviations } from './projection.ts';
import { singularValueDecomposition } from './singular-values.ts';

export interface CompressedHead {
  /** [m1, m0, n0·r] and [n0, m1·r, n1], row-major: the cores of `StructuredFactorizedProjection`. */
  core0: Float32Array<ArrayBuffer>;
  core1: Float32Array<ArrayBuffer>;
  shape0: [number, number, number];
  shape1: [number, number, number];
  /** What undoes the norm limit of the cores (`btt_norm`). */
  gamma0: number;
  gamma1: number;
  /** ‖W − Ŵ‖_F / ‖W‖_F of the f32 cores; 0 for a zero matrix. */
  relativeError: number;
}

/** Largest rank of a block, at which the conversion is exact. */
export function fullRank({ blockLength, outFactors }: HeadConfig): number {
  return Math.min(blockLength, outFactors[1]);
}

/** The largest rank that keeps at most `fraction` of a dense head's weights, at least 1: r(m0 + n1)/(m0·n1) ≤ fraction (MODEL §2). */
export function rankKeeping(fraction: number, { blockLength, outFactors }: HeadConfig): number {
  if (!(fraction > 0 && fraction <= 1)) throw new Error(`rankKeeping: the kept fraction must be above 0 and at most 1, got ${fraction}`);
  return Math.max(1, Math.floor((fraction * blockLength * outFactors[1]) / (blockLength + outFactors[1]) + 1e-9));
}

/**
 * A dense head's weight [latent, inFeatures] as the two cores of a Block Tensor Train of `head.rank` (MODEL §2).
 *
 * A Block Tensor Train computes y[p,q] = Σ_{j,a} x[j,a] · Σ_s W0[j,a,(p,s)]·W1[p,(j,s),q]. The inner sum is a matrix B̂_jp [m0, n1] of rank
 * at most r, and each pair (j, p) has one of its own: the block B_jp[a,q] = W[p·n1+q, j·m0+a] of the dense matrix. So the nearest Block
 * Tensor Train in the Frobenius norm takes from every block its nearest matrix of rank r, which is its truncated singular value
 * decomposition (Eckart & Young 1936): W0[j,a,(p,s)] = U[a,s]·√S_s, W1[p,(j,s),q] = √S_s·V[q,s]. The squared error is the sum
 * over the blocks of the squared singular values left out. √S on either side keeps both cores of one size, as they are initialised.
 *
 * The head divides a core by max(1, rms/σ) and multiplies by γ: γ = max(1, rms/σ) cancels that.
 *
 * @throws Error where sizes do not fit or the rank is not from 1 to `fullRank`
 */
export function compressDenseHead(weight: ArrayLike<number>, inFeatures: number, head: HeadConfig): CompressedHead {
  const { latent, blockLength: m0, outFactors: [n0, n1], rank } = head;
  const m1 = inFeatures / m0;
  const fail = (rule: string): Error => new Error(`compressDenseHead: ${rule}`);
  if (!Number.isInteger(m1)) throw fail(`input length ${inFeatures} must be a multiple of the block length ${m0}`);
  if (n0 * n1 !== latent) throw fail(`output factors ${n0}·${n1} must give the latent length ${latent}`);
  if (weight.length !== latent * inFeatures) throw fail(`weight must be [${latent}, ${inFeatures}], got ${weight.length} values`);
  if (!Number.isInteger(rank) || rank < 1 || rank > fullRank(head)) throw fail(`rank must be a whole number from 1 to ${fullRank(head)}, got ${rank}`);
  const core0 = new Float32Array(m1 * m0 * n0 * rank);
  const core1 = new Float32Array(n0 * m1 * rank * n1);
  const at0 = (j: number, a: number, p: number, s: number): number => ((j * m0 + a) * n0 + p) * rank + s;
  const at1 = (p: number, j: number, s: number, q: number): number => ((p * m1 + j) * rank + s) * n1 + q;
  let [left, whole] = [0, 0];
  for (let j = 0; j < m1; j++) {
    for (let p = 0; p < n0; p++) {
      const block = Float64Array.from({ length: m0 * n1 }, (_, at) => weight[(p * n1 + (at % n1)) * inFeatures + j * m0 + Math.floor(at / n1)]!);
      const { u, s: values, v } = singularValueDecomposition(block, m0, n1);
      for (let s = 0; s < rank; s++) {
        const root = Math.sqrt(values[s]!);
        for (let a = 0; a < m0; a++) core0[at0(j, a, p, s)] = u[a * values.length + s]! * root;
        for (let q = 0; q < n1; q++) core1[at1(p, j, s, q)] = v[q * values.length + s]! * root;
      }
      for (let a = 0; a < m0; a++) {
        for (let q = 0; q < n1; q++) {
          let near = 0;
          for (let s = 0; s < rank; s++) near += core0[at0(j, a, p, s)]! * core1[at1(p, j, s, q)]!;
          left += (block[a * n1 + q]! - near) ** 2;
          whole += block[a * n1 + q]! ** 2;
        }
      }
    }
  }
  const [sigma0, sigma1] = coreDeviations(inFeatures, head);
  return {
    core0, core1, shape0: [m1, m0, n0 * rank], shape1: [n0, m1 * rank, n1],
    gamma0: Math.max(1, rootMeanSquare(core0) / sigma0), gamma1: Math.max(1, rootMeanSquare(core1) / sigma1),
    relativeError: whole > 0 ? Math.sqrt(left / whole) : 0,
  };
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}
