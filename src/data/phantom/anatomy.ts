/**
 * A chest in mm, before any voxel: the reference frame in which every structure is described.
 *
 * Axes: x towards the patient's left, y towards posterior, z towards superior; the origin is the tracheal carina in the midline.
 * A patient is the reference adult scaled by `scale`, so sizes in this frame are those of a patient of average build.
 * The shapes follow textbook proportions [O]; they are a teaching phantom's, not a measured population's.
 */
import type { RandomStream } from './random.ts';

export type Point = readonly [x: number, y: number, z: number];
export type Side = 'right' | 'left';
export type Lobe = 'upper' | 'middle' | 'lower';

export interface Anatomy {
  sex: 'F' | 'M';
  ageYears: number;
  /** Patient size relative to the reference adult, along x, y, z. */
  scale: Point;
  /** Subcutaneous fat and chest wall muscle, mm. */
  fatMm: number;
  muscleMm: number;
  breastMm: number;
  /** Depth of inspiration: the domes' shift along z, mm. */
  diaphragmShift: number;
  /** HU of aerated lung at mid depth, and its rise towards the dependent (posterior) side in HU/mm. */
  lungHu: number;
  lungGradient: number;
  /** Heart size against the reference where nothing is wrong with it. */
  heartScale: number;
  aorticRadius: number;
  /** Position of the curve of the thoracic spine, mm along y. */
  kyphosis: number;
  boneHu: number;
}

export function drawAnatomy(random: RandomStream): Anatomy {
  const sex = random.chance(0.45) ? 'F' : 'M';
  const ageYears = Math.round(Math.min(92, Math.max(19, 57 + 17 * random.normal())));
  const size = (sex === 'F' ? 0.94 : 1) * (1 + 0.05 * random.normal());
  const fat = Math.min(38, Math.max(5, 14 + 8 * random.normal()));
  return {
    sex,
    ageYears,
    scale: [size * random.uniform(0.96, 1.04), size * random.uniform(0.93, 1.07), size * random.uniform(0.94, 1.06)],
    fatMm: fat,
    muscleMm: random.uniform(10, 18),
    breastMm: sex === 'F' ? random.uniform(22, 42) + 0.4 * fat : 0,
    diaphragmShift: random.uniform(-12, 14),
    lungHu: random.uniform(-875, -815),
    lungGradient: random.uniform(0.15, 0.6),
    heartScale: random.uniform(0.88, 1.06),
    aorticRadius: random.uniform(12, 15) + 0.02 * (ageYears - 50),
    kyphosis: random.uniform(6, 18),
    boneHu: random.uniform(0.75, 1.15) * (ageYears > 70 ? 0.85 : 1),
  };
}

/** Thoracic cavity (inner chest wall) by height: half-width, half-depth and centre along y. Knots [z, a, b, yc]. */
const CAVITY: readonly (readonly [number, number, number, number])[] = [
  [-230, 124, 92, 2], [-110, 126, 92, 2], [-55, 122, 90, 3], [0, 113, 83, 6], [40, 98, 71, 12], [70, 80, 55, 19],
  [90, 62, 41, 25], [104, 40, 26, 29], [112, 18, 13, 31], [117, 0, 0, 32], [240, 0, 0, 32],
];
/** Outer chest wall without fat, by height. */
const WALL: readonly (readonly [number, number, number, number])[] = [
  [-230, 138, 104, 4], [-110, 140, 105, 4], [-40, 142, 106, 4], [20, 150, 103, 6], [60, 168, 94, 12], [90, 172, 84, 18],
  [112, 150, 72, 22], [128, 85, 64, 18], [145, 62, 62, 14], [240, 60, 60, 12],
];

/** Piecewise linear through knots, tabulated at 1 mm from z = −230 to 240 and smoothed so that no slice shows a kink. */
function profile(knots: readonly (readonly number[])[], column: number): Float32Array {
  const table = new Float32Array(471);
  let segment = 0;
  for (let i = 0; i < table.length; i++) {
    const z = i - 230;
    while (segment < knots.length - 2 && z > knots[segment + 1]![0]!) segment++;
    const [from, to] = [knots[segment]!, knots[segment + 1]!];
    table[i] = from[column]! + ((to[column]! - from[column]!) * (z - from[0]!)) / (to[0]! - from[0]!);
  }
  return table.map((_, i) => {
    let sum = 0;
    for (let k = -8; k <= 8; k++) sum += table[Math.min(470, Math.max(0, i + k))]!;
    return sum / 17;
  });
}

const cavityTable = { a: profile(CAVITY, 1), b: profile(CAVITY, 2), y: profile(CAVITY, 3) };
const wallTable = { a: profile(WALL, 1), b: profile(WALL, 2), y: profile(WALL, 3) };

/**
 * Signed distance-like value to a rounded box in the axial plane: negative inside, in mm along the ray from the centre.
 * The outline is u⁴ + v⁴ + 0.9·u²v² = 1, between an ellipse and a rectangle, as a chest is.
 */
function outline(x: number, y: number, a: number, b: number): number {
  if (a <= 0.5 || b <= 0.5) return 999;
  const u = (x * x) / (a * a);
  const v = (y * y) / (b * b);
  const f = Math.sqrt(Math.sqrt(u * u + v * v + 0.9 * u * v));
  if (f < 1e-3) return -Math.min(a, b);
  return Math.sqrt(x * x + y * y) * (1 - 1 / f);
}

const row = (z: number) => (z < -230 ? 0 : z > 240 ? 470 : Math.round(z + 230));

/** Distance to the inner chest wall: negative in the thoracic cavity (and its continuation into the abdomen). */
export function cavityDistance(x: number, y: number, z: number): number {
  const i = row(z);
  return outline(x, y - cavityTable.y[i]!, cavityTable.a[i]!, cavityTable.b[i]!);
}

/** Distance to the skin, negative in the body. */
export function skinDistance(anatomy: Anatomy, x: number, y: number, z: number): number {
  const i = row(z);
  const extra = anatomy.fatMm + anatomy.muscleMm - 13;
  return outline(x, y - wallTable.y[i]!, wallTable.a[i]! + extra, wallTable.b[i]! + 0.85 * extra);
}

/** Half-width of the mediastinum at (y, z): where each lung ends medially before heart and vessels push further. */
export function mediastinalHalfWidth(y: number, z: number): number {
  const middle = (y - 6) / 34;
  const behind = Math.min(1, Math.max(0, (y - 22) / 22));
  const great = Math.min(1, Math.max(0, (z - 30) / 50));
  return 7 + 15 * Math.exp(-middle * middle) + 10 * great + 15 * behind * (1 - 0.4 * great);
}

/** Height of the diaphragm over (x, y); the right dome stands higher than the left. */
export function diaphragmHeight(anatomy: Anatomy, x: number, y: number): number {
  const t = Math.min(1, Math.max(0, (x + 30) / 60));
  const top = (1 - t) * -90 + t * -101 + anatomy.diaphragmShift;
  const u = (Math.abs(x) - 58) / 92;
  const v = (y + 22) / 88;
  return top - 58 * ((Math.abs(x) > 58 ? u * u : 0.25 * u * u) + v * v);
}

/** Signed distance-like value to the lungs' surface, negative inside aerated lung (before heart and vessels are drawn). */
export function lungDistance(anatomy: Anatomy, x: number, y: number, z: number): number {
  const wall = cavityDistance(x, y, z);
  if (wall > 20) return wall;
  const medial = mediastinalHalfWidth(y, z) - Math.abs(x);
  const below = 0.75 * (diaphragmHeight(anatomy, x, y) - z);
  return Math.max(wall, medial, below);
}

/** Height of the oblique (major) fissure at depth y: from T4 posteriorly to the front of the diaphragm. */
export const obliqueFissure = (y: number): number => 30 - 1.12 * (66 - y);
/** Height of the right lung's horizontal (minor) fissure. */
export const HORIZONTAL_FISSURE_Z = -30;

/** The lobe that holds a point of the lung; the left lung has no middle lobe. */
export function lobeAt(x: number, y: number, z: number): Lobe {
  if (z < obliqueFissure(y)) return 'lower';
  return x < 0 && z < HORIZONTAL_FISSURE_Z ? 'middle' : 'upper';
}

export const sideAt = (x: number): Side => (x < 0 ? 'right' : 'left');

/** An ellipsoid with orthonormal axes; `radii` along them in mm. */
export interface Ellipsoid {
  centre: Point;
  radii: Point;
  axes: readonly [Point, Point, Point];
}

/** The heart's outer surface at a size: it grows to the left, upwards and backwards, because it rests on the diaphragm. */
export function heartEllipsoid(anatomy: Anatomy, sizeFactor: number): Ellipsoid {
  const s = anatomy.heartScale * sizeFactor;
  const grow = s - 1;
  return {
    centre: [14 + 10 * grow, -31 + 14 * grow, -66 + 16 * grow + 0.7 * anatomy.diaphragmShift],
    radii: [63 * s, 47 * s, 45 * s],
    axes: HEART_AXES,
  };
}

/** Long axis from base to apex: left, forward, down; the other two span the short axis plane. */
const HEART_AXES = ((): [Point, Point, Point] => {
  const long = unit([0.74, -0.46, -0.49]);
  const across = unit(cross(long, [0, 0, 1]));
  return [long, across, cross(long, across)];
})();

/** Squared normalised radius: < 1 inside the ellipsoid. */
export function ellipsoidLevel(e: Ellipsoid, x: number, y: number, z: number): number {
  const dx = x - e.centre[0];
  const dy = y - e.centre[1];
  const dz = z - e.centre[2];
  let sum = 0;
  for (let k = 0; k < 3; k++) {
    const axis = e.axes[k]!;
    const t = (dx * axis[0] + dy * axis[1] + dz * axis[2]) / e.radii[k]!;
    sum += t * t;
  }
  return sum;
}

export function unit(p: Point): Point {
  const length = Math.hypot(p[0], p[1], p[2]);
  return [p[0] / length, p[1] / length, p[2] / length];
}

export function cross(a: Point, b: Point): Point {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export const along = (p: Point, direction: Point, length: number): Point => [
  p[0] + direction[0] * length, p[1] + direction[1] * length, p[2] + direction[2] * length,
];

/** Where in the lungs a finding sits; all conditions hold together. */
export interface LungSite {
  side?: Side;
  lobe?: Lobe;
  /** Range of z. */
  zRange?: readonly [number, number];
  /** Range of depth below the pleura in mm. */
  depth?: readonly [number, number];
  /** Lowest y: > 0 asks for the posterior half. */
  yMin?: number;
}

/**
 * A random point in aerated lung, clear of a heart of ordinary size. Where the conditions leave no room it gives a point of the
 * right side that breaks the others: a finding is never left out of a case that carries its label.
 */
export function lungPoint(anatomy: Anatomy, random: RandomStream, site: LungSite = {}): Point {
  const [shallow, deep] = site.depth ?? [5, 200];
  const [low, high] = site.zRange ?? [-150, 105];
  const heart = heartEllipsoid(anatomy, 1.12);
  let fallback: Point = [site.side === 'right' ? -66 : 66, 30, 0];
  for (let attempt = 0; attempt < 600; attempt++) {
    const side = site.side ?? (random.chance(0.54) ? 'right' : 'left');
    const x = random.uniform(14, 122) * (side === 'right' ? -1 : 1);
    const y = random.uniform(Math.max(-84, site.yMin ?? -84), 92);
    const z = random.uniform(low, high);
    const depth = -lungDistance(anatomy, x, y, z);
    if (depth < 3 || ellipsoidLevel(heart, x, y, z) <= 1) continue;
    if (depth >= shallow && depth <= deep && (!site.lobe || lobeAt(x, y, z) === site.lobe)) return [x, y, z];
    fallback = [x, y, z];
  }
  return fallback;
}
