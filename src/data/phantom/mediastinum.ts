/** Heart, great vessels, trachea and main bronchi, oesophagus. */
import { along, heartEllipsoid, unit } from './anatomy.ts';
import type { Anatomy, Ellipsoid, Point } from './anatomy.ts';
import { ellipsoid, ON_CHEST, paintEllipsoid, paintPath, paintTube, TISSUE } from './canvas.ts';
import type { Canvas } from './canvas.ts';

const SOFT_HU = 46;
export const AIRWAY_WALL_HU = 25;
export const LUMEN_HU = -985;

/** HU of blood in the chambers and vessels of one scan: unenhanced, or enhanced with a bolus that reached both circulations. */
export interface BloodHu {
  left: number;
  right: number;
  myocardium: number;
}

export const bloodHu = (contrastHu: number | null): BloodHu =>
  contrastHu === null ? { left: 41, right: 41, myocardium: 50 } : { left: contrastHu, right: contrastHu * 1.12, myocardium: 105 };

/** Centre line of the aorta from the valve over the arch down to the abdomen, about 8 mm between points. */
export function aortaPath(anatomy: Anatomy): Point[] {
  const knots: Point[] = [
    [4, -24, -34], [-10, -30, -8], [-12, -28, 18], [-4, -18, 36], [9, 2, 45], [20, 24, 38], [24, 38, 20], [24, 41, -10], [21, 42, -60], [15, 40, -110], [9, 38, -190],
  ];
  const wide = anatomy.aorticRadius - 13;
  const points: Point[] = [];
  for (let i = 0; i + 1 < knots.length; i++) {
    const p = [knots[Math.max(0, i - 1)]!, knots[i]!, knots[i + 1]!, knots[Math.min(knots.length - 1, i + 2)]!];
    const steps = Math.max(2, Math.round(Math.hypot(p[2]![0] - p[1]![0], p[2]![1] - p[1]![1], p[2]![2] - p[1]![2]) / 8));
    for (let s = 0; s < steps; s++) {
      const q = catmullRom(p as [Point, Point, Point, Point], s / steps);
      // A wider aorta is longer: it elongates to the left and upwards.
      points.push([q[0] + 0.5 * wide, q[1], q[2] + (q[2] > 10 ? wide : 0)]);
    }
  }
  return points;
}

function catmullRom([a, b, c, d]: readonly [Point, Point, Point, Point], t: number): Point {
  const axis = (m: 0 | 1 | 2) =>
    0.5 * (2 * b[m] + (c[m] - a[m]) * t + (2 * a[m] - 5 * b[m] + 4 * c[m] - d[m]) * t * t + (3 * b[m] - a[m] - 3 * c[m] + d[m]) * t * t * t);
  return [axis(0), axis(1), axis(2)];
}

/** The aorta tapers from the root to the abdomen. */
export const aortaRadiusAt = (anatomy: Anatomy, share: number): number => anatomy.aorticRadius * (1.18 - 0.38 * share);

/** A point on the heart's surface: t from base (−1) to apex (1), angle around the long axis (0 = front right, π/2 = up and left). */
export function heartSurface(heart: Ellipsoid, t: number, angle: number, lift: number): Point {
  const [long, across, down] = heart.axes;
  const around = Math.sqrt(1 - t * t);
  let p = along(heart.centre, long, heart.radii[0] * t + lift * t);
  p = along(p, across, (heart.radii[1] + lift) * around * Math.cos(angle));
  return along(p, down, -(heart.radii[2] + lift) * around * Math.sin(angle));
}

/** Heart at a size: epicardial fat, muscle and the four blood pools. Paints inside the chest only, so a big heart stops at the wall. */
export function paintHeart(canvas: Canvas, anatomy: Anatomy, sizeFactor: number, blood: BloodHu): void {
  const heart = heartEllipsoid(anatomy, sizeFactor);
  const s = anatomy.heartScale * sizeFactor;
  const inChest = { on: ON_CHEST, becomes: TISSUE.mediastinum };
  const [long, across, down] = heart.axes;
  paintEllipsoid(canvas, { ...heart, radii: [heart.radii[0] + 4, heart.radii[1] + 4, heart.radii[2] + 4] }, -80, inChest);
  paintEllipsoid(canvas, heart, blood.myocardium, inChest);
  const chamber = (l: number, a: number, d: number, radii: Point, hu: number) => {
    const centre = along(along(along(heart.centre, long, l * s), across, a * s), down, d * s);
    paintEllipsoid(canvas, { centre, radii: [radii[0] * s, radii[1] * s, radii[2] * s], axes: heart.axes }, hu, { on: 1 << TISSUE.mediastinum });
  };
  chamber(16, -14, -2, [33, 17, 19], blood.left);
  chamber(10, 22, 4, [34, 17, 24], blood.right);
  chamber(-36, 24, 2, [19, 18, 24], blood.right);
  chamber(-34, -20, -10, [18, 22, 20], blood.left);
  // Fat of the interventricular and atrioventricular grooves, where the coronary arteries run.
  for (const angle of [0.95, 3.0]) {
    paintPath(canvas, [-0.2, 0.2, 0.6].map((t) => heartSurface(heart, t, angle, 0)), 3, -70, { on: 1 << TISSUE.mediastinum, opacity: 0.8 });
  }
}

/** Great vessels, oesophagus and the soft tissue between them. */
export function paintGreatVessels(canvas: Canvas, anatomy: Anatomy, blood: BloodHu): void {
  const chest = { on: ON_CHEST | (1 << TISSUE.abdomen), becomes: TISSUE.mediastinum };
  const path = aortaPath(anatomy);
  const r = anatomy.aorticRadius;
  paintPath(canvas, [[-27, -16, 46], [-27, -14, 10], [-24, -12, -30]], 9, blood.right, chest);
  paintPath(canvas, [[-27, -16, 46], [-38, -22, 84]], 7.5, blood.right, chest);
  paintPath(canvas, [[-27, -18, 46], [2, -30, 54], [34, -24, 80]], 6.5, blood.right, chest);
  paintPath(canvas, [[14, -36, -34], [17, -30, -8], [14, -14, 2]], 13, blood.right, chest);
  paintPath(canvas, [[14, -14, 0], [-8, -4, -9], [-34, 6, -16]], 10, blood.right, chest);
  paintPath(canvas, [[14, -14, 2], [30, 6, 2], [42, 16, -10]], 10, blood.right, chest);
  // Arch branches: brachiocephalic trunk, left common carotid, left subclavian.
  paintPath(canvas, [[-3, -14, 44], [-16, -6, 80], [-26, 0, 130]], 6, blood.left, chest);
  paintPath(canvas, [[6, -4, 48], [18, 0, 84], [24, 2, 130]], 4.2, blood.left, chest);
  paintPath(canvas, [[13, 8, 46], [26, 16, 84], [44, 18, 100]], 5, blood.left, chest);
  for (let i = 1; i < path.length; i++) {
    const share = i / path.length;
    paintTube(canvas, path[i - 1]!, path[i]!, aortaRadiusAt(anatomy, share) + 1.2, aortaRadiusAt(anatomy, share) + 1.2, SOFT_HU, chest);
    paintTube(canvas, path[i - 1]!, path[i]!, aortaRadiusAt(anatomy, share), aortaRadiusAt(anatomy, share), blood.left, chest);
  }
  const oesophagus: Point[] = [[2, 26, 130], [6, 30, 60], [4, 34, 10], [2, 32, -40], [8, 26, -95], [20, 12, -120]];
  paintPath(canvas, oesophagus, 7, SOFT_HU, chest);
  paintPath(canvas, oesophagus.slice(0, 3), 2.2, -400, chest);
  paintEllipsoid(canvas, ellipsoid([-2, -46 + 0.3 * r, 24], [15, 7, 26]), -60, chest);
}

/** Trachea, main and intermediate bronchi: wall, then lumen. `extraWall` in mm thickens the main bronchi's walls. */
export function paintCentralAirways(canvas: Canvas, extraWall: number): void {
  const airways: [Point[], number][] = [
    [[[0, 8, 140], [0, 11, 90], [0, 16, 40], [0, 18, 4]], 8.6],
    [[[0, 18, 4], [-16, 18, -8], [-34, 17, -20]], 6.8],
    [[[0, 18, 4], [20, 20, -10], [42, 22, -22]], 6],
    [[[-34, 17, -20], [-38, 18, -42]], 5.2],
  ];
  const chest = { on: ON_CHEST | (1 << TISSUE.wall), becomes: TISSUE.mediastinum };
  airways.forEach(([points, radius], i) => paintPath(canvas, points, radius + 1.4 + (i > 0 ? extraWall : 0), 35, chest));
  for (const [points, radius] of airways) paintPath(canvas, points, radius, LUMEN_HU, { ...chest, becomes: TISSUE.mediastinum });
}

/** A unit vector at a right angle to `direction`, turned by `angle` around it. */
export function perpendicular(direction: Point, angle: number): Point {
  const d = unit(direction);
  const helper: Point = Math.abs(d[2]) < 0.8 ? [0, 0, 1] : [1, 0, 0];
  const u = unit([d[1] * helper[2] - d[2] * helper[1], d[2] * helper[0] - d[0] * helper[2], d[0] * helper[1] - d[1] * helper[0]]);
  const v: Point = [d[1] * u[2] - d[2] * u[1], d[2] * u[0] - d[0] * u[2], d[0] * u[1] - d[1] * u[0]];
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  return [u[0] * c + v[0] * s, u[1] * c + v[1] * s, u[2] * c + v[2] * s];
}
