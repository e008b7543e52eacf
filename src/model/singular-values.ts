/** Singular value decomposition of small dense matrices in float64, for weights that are converted once. */

export interface SingularValueDecomposition {
  /** [rows, count], orthonormal columns (zero ones where the singular value is zero); count = min(rows, columns). */
  u: Float64Array;
  /** Descending. */
  s: Float64Array;
  /** [columns, count], likewise. */
  v: Float64Array;
}

/** Turns through all pairs; a handful is usual. */
const mostSweeps = 60;

/**
 * A = U·diag(s)·Vᵀ of a row-major matrix [rows, columns], by one-sided Jacobi rotations (Hestenes 1958; Demmel & Veselić 1992): columns
 * are turned in pairs until all are orthogonal, their lengths are then the singular values. Small singular values are as exact,
 * in relative terms, as large ones allow.
 *
 * @throws Error where the values do not fill the matrix or are not finite
 */
export function singularValueDecomposition(a: ArrayLike<number>, rows: number, columns: number): SingularValueDecomposition {
  if (a.length !== rows * columns) throw new Error(`singularValueDecomposition: [${rows}, ${columns}] holds ${rows * columns} values, got ${a.length}`);
  for (let i = 0; i < a.length; i++) if (!Number.isFinite(a[i])) throw new Error(`singularValueDecomposition: values must be finite, got ${a[i]} at ${i}`);
  if (rows < columns) {
    const { u, s, v } = singularValueDecomposition(transposed(a, rows, columns), columns, rows);
    return { u: v, s, v: u };
  }
  // Column by column: a rotation runs over two stretches of memory.
  const turned = columnsOf(a, rows, columns);
  const v = columnsOf(identity(columns), columns, columns);
  for (let sweep = 0; sweep < mostSweeps; sweep++) if (!rotateAll(turned, v)) break;
  return sorted(turned, v, rows, columns);
}

function transposed(a: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: a.length }, (_, at) => a[(at % rows) * columns + Math.floor(at / rows)]!);
}

function columnsOf(a: ArrayLike<number>, rows: number, columns: number): Float64Array[] {
  return Array.from({ length: columns }, (_, column) => Float64Array.from({ length: rows }, (_, row) => a[row * columns + column]!));
}

function identity(size: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, at) => (at % (size + 1) === 0 ? 1 : 0));
}

/** One rotation for each pair of columns. False where all were orthogonal already. */
function rotateAll(turned: Float64Array[], v: Float64Array[]): boolean {
  let rotated = false;
  // Below this cosine two columns are as orthogonal as the rounding of their product can tell.
  const orthogonal = Math.sqrt(turned[0]!.length) * Number.EPSILON;
  for (let p = 0; p < turned.length; p++) {
    for (let q = p + 1; q < turned.length; q++) {
      const [alpha, beta, gamma] = [dot(turned[p]!, turned[p]!), dot(turned[q]!, turned[q]!), dot(turned[p]!, turned[q]!)];
      if (!(Math.abs(gamma) > orthogonal * Math.sqrt(alpha * beta))) continue;
      rotated = true;
      const zeta = (beta - alpha) / (2 * gamma);
      const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
      const cosine = 1 / Math.hypot(1, tangent);
      rotate(turned[p]!, turned[q]!, cosine, cosine * tangent);
      rotate(v[p]!, v[q]!, cosine, cosine * tangent);
    }
  }
  return rotated;
}

function rotate(x: Float64Array, y: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < x.length; i++) {
    const [a, b] = [x[i]!, y[i]!];
    x[i] = cosine * a - sine * b;
    y[i] = sine * a + cosine * b;
  }
}

function sorted(turned: readonly Float64Array[], v: readonly Float64Array[], rows: number, columns: number): SingularValueDecomposition {
  const lengths = turned.map((column) => Math.hypot(...column));
  const order = lengths.map((_, column) => column).sort((a, b) => lengths[b]! - lengths[a]!);
  const place = (vectors: readonly Float64Array[], extent: number, scale: (column: number) => number): Float64Array =>
    Float64Array.from({ length: extent * columns }, (_, at) => {
      const column = order[at % columns]!;
      return vectors[column]![Math.floor(at / columns)]! * scale(column);
    });
  return {
    u: place(turned, rows, (column) => (lengths[column]! > 0 ? 1 / lengths[column]! : 0)),
    s: Float64Array.from(order, (column) => lengths[column]!),
    v: place(v, columns, () => 1),
  };
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}
