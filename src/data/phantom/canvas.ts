/**
 * The voxels that the phantom is painted on, and the brushes: every brush visits only the voxels of its structure's box.
 * Edges are blended over about one voxel, which is the partial volume effect of a real scan.
 */
import type { Ellipsoid, Point } from './anatomy.ts';

/** What a voxel belongs to; findings of the lung paint lung voxels only. */
export const TISSUE = { air: 0, wall: 1, rightLung: 2, leftLung: 3, mediastinum: 4, abdomen: 5, filled: 6 } as const;
export const isLung = (tissue: number): boolean => tissue === TISSUE.rightLung || tissue === TISSUE.leftLung;

export interface Canvas {
  /** [D, Y, X], X fastest, Hounsfield units. */
  hu: Int16Array;
  tissue: Uint8Array;
  shape: [number, number, number];
  spacingMm: [number, number, number];
  /** Reference frame point of voxel (k, j, i): origin + k·stepK + j·stepJ + i·stepI. */
  origin: Point;
  stepI: Point;
  stepJ: Point;
  stepK: Point;
  /** Rows of the inverse map, reference frame to (i, j, k). */
  inverse: readonly [Point, Point, Point];
  /** Width in mm over which an edge is blended. */
  edgeMm: number;
}

/** How the patient lies in the scanner: size, in-plane rotation in radians, shear of z with x and y, shift in mm. */
export interface Pose {
  scale: Point;
  rotation: number;
  shear: readonly [number, number];
  /** Reference frame point at the centre of the volume. */
  centre: Point;
}

export function makeCanvas(shape: [number, number, number], spacingMm: [number, number, number], pose: Pose): Canvas {
  const [D, Y, X] = shape;
  const [sz, sy, sx] = spacingMm;
  const c = Math.cos(pose.rotation);
  const s = Math.sin(pose.rotation);
  const [kx, ky, kz] = pose.scale;
  const stepI: Point = [(c * sx) / kx, (s * sx) / ky, (pose.shear[0] * sx) / kz];
  const stepJ: Point = [(-s * sy) / kx, (c * sy) / ky, (pose.shear[1] * sy) / kz];
  const stepK: Point = [0, 0, sz / kz];
  const half = [(X - 1) / 2, (Y - 1) / 2, (D - 1) / 2] as const;
  const start = (axis: 0 | 1 | 2) => pose.centre[axis] - half[0] * stepI[axis] - half[1] * stepJ[axis] - half[2] * stepK[axis];
  return {
    hu: new Int16Array(D * Y * X),
    tissue: new Uint8Array(D * Y * X),
    shape, spacingMm, stepI, stepJ, stepK,
    origin: [start(0), start(1), start(2)],
    inverse: inverseRows(stepI, stepJ, stepK),
    edgeMm: Math.max(0.8, 0.8 * sx + 0.15 * sz),
  };
}

/** Inverse of the matrix whose columns are a, b, c. */
function inverseRows(a: Point, b: Point, c: Point): [Point, Point, Point] {
  const cofactor = (u: Point, v: Point): Point => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const bc = cofactor(b, c);
  const determinant = a[0] * bc[0] + a[1] * bc[1] + a[2] * bc[2];
  const over = (p: Point): Point => [p[0] / determinant, p[1] / determinant, p[2] / determinant];
  return [over(bc), over(cofactor(c, a)), over(cofactor(a, b))];
}

/** The voxel at index `offset`, at reference point (x, y, z). */
export type Brush = (offset: number, x: number, y: number, z: number) => void;

/** Calls the brush for every voxel that may lie within `half` mm of `centre` along the reference axes. */
export function visitBox(canvas: Canvas, centre: Point, half: Point, brush: Brush): void {
  const [D, Y, X] = canvas.shape;
  const range = (axis: 0 | 1 | 2, size: number): [number, number] => {
    const rowOf = canvas.inverse[axis];
    let middle = 0;
    let extent = 0;
    for (let m = 0; m < 3; m++) {
      middle += rowOf[m]! * (centre[m]! - canvas.origin[m]!);
      extent += Math.abs(rowOf[m]!) * half[m]!;
    }
    return [Math.max(0, Math.ceil(middle - extent)), Math.min(size - 1, Math.floor(middle + extent))];
  };
  const [i0, i1] = range(0, X);
  const [j0, j1] = range(1, Y);
  const [k0, k1] = range(2, D);
  const { origin, stepI, stepJ, stepK } = canvas;
  for (let k = k0; k <= k1; k++) {
    for (let j = j0; j <= j1; j++) {
      let x = origin[0] + k * stepK[0] + j * stepJ[0] + i0 * stepI[0];
      let y = origin[1] + k * stepK[1] + j * stepJ[1] + i0 * stepI[1];
      let z = origin[2] + k * stepK[2] + j * stepJ[2] + i0 * stepI[2];
      const base = (k * Y + j) * X;
      for (let i = i0; i <= i1; i++) {
        brush(base + i, x, y, z);
        x += stepI[0];
        y += stepI[1];
        z += stepI[2];
      }
    }
  }
}

export interface PaintOptions {
  /** Paint only voxels of these tissues: a bit mask of 1 << TISSUE.x; everything by default. */
  on?: number;
  /** Tissue that well covered voxels become. */
  becomes?: number;
  /** Strongest blend, 1 by default. */
  opacity?: number;
  /** Blending width in mm where the structure's border is softer than a voxel. */
  softMm?: number;
}

export const ON_LUNG = (1 << TISSUE.rightLung) | (1 << TISSUE.leftLung);
export const ON_CHEST = ON_LUNG | (1 << TISSUE.mediastinum) | (1 << TISSUE.filled);
export const EVERYWHERE = 0xff;

/** Blends `target` HU into a voxel. */
export function blend(canvas: Canvas, offset: number, target: number, alpha: number): void {
  const old = canvas.hu[offset]!;
  canvas.hu[offset] = Math.round(old + alpha * (target - old));
}

/** Share of a voxel inside a border at signed distance d (negative inside). */
export const coverage = (d: number, edge: number): number => {
  const share = 0.5 - d / edge;
  return share < 0 ? 0 : share > 1 ? 1 : share;
};

export function paintEllipsoid(canvas: Canvas, e: Ellipsoid, hu: number, options: PaintOptions = {}): void {
  const { on = EVERYWHERE, becomes = -1, opacity = 1 } = options;
  const edge = Math.max(canvas.edgeMm, options.softMm ?? 0);
  const [r0, r1, r2] = e.radii;
  const smallest = Math.min(r0, r1, r2);
  const peak = opacity * Math.min(1, (2.2 * smallest) / edge);
  const [a, b, c] = e.axes;
  const half = [0, 1, 2].map((m) => Math.hypot(a[m]! * r0, b[m]! * r1, c[m]! * r2) + edge) as unknown as Point;
  const [cx, cy, cz] = e.centre;
  visitBox(canvas, e.centre, half, (offset, x, y, z) => {
    if (!((on >> canvas.tissue[offset]!) & 1)) return;
    const dx = x - cx;
    const dy = y - cy;
    const dz = z - cz;
    const u = (dx * a[0] + dy * a[1] + dz * a[2]) / r0;
    const v = (dx * b[0] + dy * b[1] + dz * b[2]) / r1;
    const w = (dx * c[0] + dy * c[1] + dz * c[2]) / r2;
    const level = Math.sqrt(u * u + v * v + w * w);
    // Along the ray from the centre: exact for a sphere, close enough for the blend of an ellipsoid's border.
    const d = level < 1e-6 ? -smallest : Math.sqrt(dx * dx + dy * dy + dz * dz) * (1 - 1 / level);
    const alpha = peak * coverage(d, edge);
    if (alpha <= 0) return;
    blend(canvas, offset, hu, alpha);
    if (becomes >= 0 && alpha > 0.5) canvas.tissue[offset] = becomes;
  });
}

const STRAIGHT: readonly [Point, Point, Point] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

/** An ellipsoid along the reference axes. */
export const ellipsoid = (centre: Point, radii: Point): Ellipsoid => ({ centre, radii, axes: STRAIGHT });
export const sphere = (centre: Point, radius: number): Ellipsoid => ellipsoid(centre, [radius, radius, radius]);

/** A tube from a to b with hemispherical ends whose radius changes linearly. */
export function paintTube(canvas: Canvas, a: Point, b: Point, radiusA: number, radiusB: number, hu: number, options: PaintOptions = {}): void {
  const { on = EVERYWHERE, becomes = -1, opacity = 1 } = options;
  const edge = Math.max(canvas.edgeMm, options.softMm ?? 0);
  const reach = Math.max(radiusA, radiusB) + edge / 2;
  const [ax, ay, az] = a;
  const [dx, dy, dz] = [b[0] - ax, b[1] - ay, b[2] - az];
  const squared = dx * dx + dy * dy + dz * dz || 1;
  const centre: Point = [ax + dx / 2, ay + dy / 2, az + dz / 2];
  const half: Point = [Math.abs(dx) / 2 + reach, Math.abs(dy) / 2 + reach, Math.abs(dz) / 2 + reach];
  visitBox(canvas, centre, half, (offset, x, y, z) => {
    if (!((on >> canvas.tissue[offset]!) & 1)) return;
    let t = ((x - ax) * dx + (y - ay) * dy + (z - az) * dz) / squared;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    const ex = x - ax - t * dx;
    const ey = y - ay - t * dy;
    const ez = z - az - t * dz;
    const radius = radiusA + t * (radiusB - radiusA);
    const distance = Math.sqrt(ex * ex + ey * ey + ez * ez) - radius;
    if (distance > edge / 2) return;
    // A tube thinner than a voxel fills a share of it at most.
    const alpha = opacity * Math.min(1, (2 * radius) / edge) * coverage(distance, edge);
    blend(canvas, offset, hu, alpha);
    if (becomes >= 0 && alpha > 0.5) canvas.tissue[offset] = becomes;
  });
}

/** Tubes through a list of points, one radius. */
export function paintPath(canvas: Canvas, points: readonly Point[], radius: number, hu: number, options?: PaintOptions): void {
  for (let i = 1; i < points.length; i++) paintTube(canvas, points[i - 1]!, points[i]!, radius, radius, hu, options);
}
