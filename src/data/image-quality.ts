/** How far a compressed volume is from what it was made of: PSNR and SSIM over the HU window that is compressed. */
import { HU_WINDOW } from './volume.ts';
import type { Size3 } from './volume.ts';

/** Width of the window of values that JPEG keeps, in HU. */
const WINDOW_HU = HU_WINDOW[1] - HU_WINDOW[0];

/**
 * Peak signal-to-noise ratio in dB, 10·log10(range²/mean squared error).
 * @param range largest possible difference of two values, in their unit.
 * @returns null where the two are equal.
 */
export function psnr(a: ArrayLike<number>, b: ArrayLike<number>, range = WINDOW_HU): number | null {
  requireSameLength('psnr', a, b);
  let squares = 0;
  for (let i = 0; i < a.length; i++) squares += (a[i]! - b[i]!) ** 2;
  return squares === 0 ? null : 10 * Math.log10((range * range * a.length) / squares);
}

const WIDTH = 7;
const K1 = 0.01;
const K2 = 0.03;

/**
 * Structural similarity (Wang et al. 2004), mean over the axial slices of a volume [D, Y, X].
 *
 * As scikit-image's default: uniform 7 × 7 windows that lie whole within the slice, sample covariance (n − 1), K1 0.01, K2 0.03.
 * @returns null where no window fits into a slice.
 */
export function ssim(a: ArrayLike<number>, b: ArrayLike<number>, shape: Size3, range = WINDOW_HU): number | null {
  requireSameLength('ssim', a, b);
  const [depth, height, width] = shape;
  if (height < WIDTH || width < WIDTH) return null;
  let sum = 0;
  for (let d = 0; d < depth; d++) sum += sliceSsim(a, b, d * height * width, height, width, range);
  return sum / depth;
}

/** Sums over windows by running sums: first down the columns, then along the rows. */
function sliceSsim(a: ArrayLike<number>, b: ArrayLike<number>, start: number, height: number, width: number, range: number): number {
  const n = WIDTH * WIDTH;
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
  const columns = Array.from({ length: 5 }, () => new Float64Array(width));
  const add = (row: number, sign: number): void => {
    for (let x = 0; x < width; x++) {
      const at = start + row * width + x;
      const [u, v] = [a[at]!, b[at]!];
      columns[0]![x]! += sign * u;
      columns[1]![x]! += sign * v;
      columns[2]![x]! += sign * u * u;
      columns[3]![x]! += sign * v * v;
      columns[4]![x]! += sign * u * v;
    }
  };
  let sum = 0;
  for (let y = 0; y < height; y++) {
    add(y, 1);
    if (y >= WIDTH) add(y - WIDTH, -1);
    if (y < WIDTH - 1) continue;
    const sums = [0, 0, 0, 0, 0];
    for (let x = 0; x < width; x++) {
      for (let k = 0; k < 5; k++) sums[k]! += columns[k]![x]! - (x >= WIDTH ? columns[k]![x - WIDTH]! : 0);
      if (x < WIDTH - 1) continue;
      const [ma, mb] = [sums[0]! / n, sums[1]! / n];
      const [va, vb, cov] = [(sums[2]! - n * ma * ma) / (n - 1), (sums[3]! - n * mb * mb) / (n - 1), (sums[4]! - n * ma * mb) / (n - 1)];
      sum += ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
  }
  return sum / ((height - WIDTH + 1) * (width - WIDTH + 1));
}

function requireSameLength(where: string, a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) throw new Error(`${where}: the volumes must have the same number of voxels, got ${a.length} and ${b.length}`);
}
