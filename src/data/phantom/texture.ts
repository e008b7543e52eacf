/** Procedural textures in mm: smooth value noise, and cells (lobules) with their borders. */
import type { RandomStream } from './random.ts';

const SIZE = 32;
const MASK = SIZE - 1;

/** A wrapped lattice of random values in [−1, 1]; one lattice serves all textures of a render at different scales and offsets. */
export interface Texture {
  /** Trilinear value noise: features of about `featureMm`. Range [−1, 1], standard deviation about 0.35. */
  smooth(x: number, y: number, z: number, featureMm: number): number;
  /**
   * Cells of about `cellMm`: `id` in [−1, 1] is the cell's own value; `border` is 0 on the wall between two cells and grows
   * with the distance to it in units of a cell.
   */
  cell(x: number, y: number, z: number, cellMm: number, out: { id: number; border: number }): void;
}

export function makeTexture(random: RandomStream): Texture {
  const lattice = new Float32Array(SIZE ** 3);
  for (let i = 0; i < lattice.length; i++) lattice[i] = random.int32() / 0x80000000;
  const at = (i: number, j: number, k: number) => lattice[((k & MASK) * SIZE + (j & MASK)) * SIZE + (i & MASK)]!;
  return {
    smooth(x, y, z, featureMm) {
      const fx = x / featureMm + 400.5;
      const fy = y / featureMm + 400.5;
      const fz = z / featureMm + 400.5;
      const i = Math.floor(fx);
      const j = Math.floor(fy);
      const k = Math.floor(fz);
      let u = fx - i;
      let v = fy - j;
      let w = fz - k;
      u = u * u * (3 - 2 * u);
      v = v * v * (3 - 2 * v);
      w = w * w * (3 - 2 * w);
      const near = (at(i, j, k) * (1 - u) + at(i + 1, j, k) * u) * (1 - v) + (at(i, j + 1, k) * (1 - u) + at(i + 1, j + 1, k) * u) * v;
      const far = (at(i, j, k + 1) * (1 - u) + at(i + 1, j, k + 1) * u) * (1 - v) + (at(i, j + 1, k + 1) * (1 - u) + at(i + 1, j + 1, k + 1) * u) * v;
      return near * (1 - w) + far * w;
    },
    cell(x, y, z, cellMm, out) {
      const fx = x / cellMm + 400;
      const fy = y / cellMm + 400;
      const fz = z / cellMm + 400;
      // The eight nearest lattice cells hold the nearest site but for rare corners, at a third of the full search's price.
      const i0 = Math.floor(fx - 0.5);
      const j0 = Math.floor(fy - 0.5);
      const k0 = Math.floor(fz - 0.5);
      let first = 9;
      let second = 9;
      let id = 0;
      for (let k = k0; k <= k0 + 1; k++) {
        for (let j = j0; j <= j0 + 1; j++) {
          for (let i = i0; i <= i0 + 1; i++) {
            const dx = i + 0.5 + 0.38 * at(i, j, k) - fx;
            const dy = j + 0.5 + 0.38 * at(i + 11, j, k) - fy;
            const dz = k + 0.5 + 0.38 * at(i, j + 13, k) - fz;
            const d = dx * dx + dy * dy + dz * dz;
            if (d < first) {
              second = first;
              first = d;
              id = at(i, j, k + 17);
            } else if (d < second) second = d;
          }
        }
      }
      out.id = id;
      out.border = Math.sqrt(second) - Math.sqrt(first);
    },
  };
}
