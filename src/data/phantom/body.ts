/** The first coat of paint: skin, fat, muscle, ribs, lungs, mediastinal fat, diaphragm and what lies below it, and the table. */
import { along, cavityDistance, diaphragmHeight, mediastinalHalfWidth, obliqueFissure, skinDistance, HORIZONTAL_FISSURE_Z } from './anatomy.ts';
import type { Anatomy, Point } from './anatomy.ts';
import { coverage, ellipsoid, EVERYWHERE, paintEllipsoid, paintPath, paintTube, TISSUE, visitBox } from './canvas.ts';
import type { Canvas } from './canvas.ts';
import type { Texture } from './texture.ts';

const AIR_HU = -1000;
const FAT_HU = -102;
const MUSCLE_HU = 52;
const MEDIASTINAL_FAT_HU = -88;
const RIB_PITCH_MM = 25;
/** How far a rib drops from the spine to the front, mm along z per mm along y. */
const RIB_SLOPE = 0.52;

/** Paints every voxel once. */
export function paintBody(canvas: Canvas, anatomy: Anatomy, texture: Texture, contrast: boolean): void {
  const { hu, tissue, edgeMm } = canvas;
  const liver = contrast ? 105 : 57;
  visitBox(canvas, [0, 0, 0], [1e4, 1e4, 1e4], (offset, x, y, z) => {
    const skin = skinDistance(anatomy, x, y, z);
    if (skin > edgeMm) {
      hu[offset] = tableHu(x, y, skin, anatomy, edgeMm);
      return;
    }
    const inBody = coverage(skin, edgeMm);
    const wall = cavityDistance(x, y, z);
    let value: number;
    if (wall > edgeMm / 2) {
      value = chestWallHu(anatomy, texture, skin, wall, x, y, z, edgeMm);
      tissue[offset] = TISSUE.wall;
    } else {
      const floor = 0.75 * (diaphragmHeight(anatomy, x, y) - z);
      const medial = mediastinalHalfWidth(y, z) - Math.abs(x);
      const lung = Math.max(wall, medial, floor);
      const air = coverage(lung, edgeMm);
      const solid = wall > -0.3 ? MUSCLE_HU
        : floor > 0 ? abdomenHu(liver, x, y, floor)
        : y > 24 && Math.abs(x) < 34 ? 10 : MEDIASTINAL_FAT_HU;
      value = solid;
      if (air > 0) {
        value += air * (lungHu(anatomy, texture, x, y, z, edgeMm) - solid);
      }
      tissue[offset] = air > 0.5 ? (x < 0 ? TISSUE.rightLung : TISSUE.leftLung) : wall > 0 ? TISSUE.wall : floor > 0 ? TISSUE.abdomen : TISSUE.mediastinum;
    }
    hu[offset] = Math.round(AIR_HU + inBody * (value - AIR_HU));
  });
}

/** Aerated lung: denser where it hangs lower, a fine parenchymal texture, the fissures as faint sheets. */
function lungHu(anatomy: Anatomy, texture: Texture, x: number, y: number, z: number, edge: number): number {
  let value = anatomy.lungHu + anatomy.lungGradient * y + 22 * texture.smooth(x, y, z, 17);
  const sheet = Math.min(1, 2.4 / edge);
  const oblique = Math.abs(z - obliqueFissure(y)) * 0.67;
  if (oblique < edge / 2) value += 110 * sheet * (1 - (2 * oblique) / edge);
  const minor = Math.abs(z - HORIZONTAL_FISSURE_Z);
  if (x < 0 && z > obliqueFissure(y) && minor < edge / 2) value += 110 * sheet * (1 - (2 * minor) / edge);
  return value;
}

/** Outside the cavity: skin, fat, muscle with fat planes, and the oblique rings of the ribs next to the pleura. */
function chestWallHu(anatomy: Anatomy, texture: Texture, skin: number, wall: number, x: number, y: number, z: number, edge: number): number {
  if (skin > -2) return 25;
  // Fat is thickest at the flanks' front and back, thin over the shoulders.
  const fat = anatomy.fatMm * (z > 60 ? Math.max(0.45, 1 - (z - 60) / 90) : 1);
  const inFat = coverage(-skin - 2 - fat, Math.max(edge, 2));
  let value = MUSCLE_HU + inFat * (FAT_HU - MUSCLE_HU);
  // Planes of fat between the muscle layers, as the serratus and latissimus show.
  if (inFat === 0 && wall > 12) value -= 110 * Math.max(0, texture.smooth(x, y, 0.6 * z, 13) - 0.22);
  if (wall < 11 && z < 104) {
    const height = (z + RIB_SLOPE * -y) / RIB_PITCH_MM + 400;
    const off = Math.abs(height - Math.floor(height) - 0.5) * RIB_PITCH_MM;
    const rib = Math.min(coverage(Math.max(off - 5.5, Math.abs(wall - 6) - 4), edge), 1);
    if (rib > 0) {
      // Costal cartilage in front, marrow inside the cortex elsewhere.
      const front = y < -50 && Math.abs(x) < 78 - 0.25 * (y + 85);
      const bone = front ? 120 : (Math.max(off - 5.5, Math.abs(wall - 6) - 4) > -1.8 ? 720 : 330) * anatomy.boneHu;
      value += rib * (bone - value);
    }
  }
  return value;
}

/** Below the diaphragm: the liver on the right and across the midline in front, spleen and stomach painted over the fat later. */
function abdomenHu(liver: number, x: number, y: number, depth: number): number {
  if (depth < 2) return MUSCLE_HU;
  return x < 22 - 0.55 * y && !(y > 40 && x > -24) ? liver : -98;
}

/** The couch below the patient: a thin curved shell. */
function tableHu(x: number, y: number, skin: number, anatomy: Anatomy, edge: number): number {
  const surface = 118 + 0.85 * (anatomy.fatMm + anatomy.muscleMm - 13) - 0.0011 * x * x;
  const shell = Math.abs(y - surface - 6);
  if (skin < 1 || Math.abs(x) > 205 || shell > 2 + edge / 2) return AIR_HU;
  return AIR_HU + Math.round(620 * coverage(shell - 1.5, edge));
}

/** Organs under the domes, breasts, and the oesophagus' surroundings: drawn over the first coat. */
export function paintSoftOrgans(canvas: Canvas, anatomy: Anatomy, contrast: boolean): void {
  const abdomen = { on: 1 << TISSUE.abdomen };
  const down = anatomy.diaphragmShift;
  paintEllipsoid(canvas, ellipsoid([72, 38, -140 + down], [40, 36, 42]), contrast ? 120 : 50, abdomen);
  paintEllipsoid(canvas, ellipsoid([44, -14, -142 + down], [38, 34, 34]), 35, abdomen);
  paintEllipsoid(canvas, ellipsoid([44, -26, -138 + down], [30, 18, 24]), -930, abdomen);
  if (anatomy.breastMm > 0) {
    const y = -100 - 0.85 * anatomy.fatMm;
    for (const side of [-1, 1]) {
      const outside = { on: (1 << TISSUE.air) | (1 << TISSUE.wall) };
      const only = { on: 1 << TISSUE.air, becomes: TISSUE.wall };
      paintEllipsoid(canvas, ellipsoid([side * 72, y, -46], [52, anatomy.breastMm, 46]), FAT_HU, only);
      paintEllipsoid(canvas, ellipsoid([side * 70, y - 4, -48], [22, anatomy.breastMm * 0.5, 20]), 15, { ...outside, opacity: 0.7, softMm: 14 });
    }
  }
}

/** Centre of the vertebral body at height z. */
export function spineCentre(anatomy: Anatomy, z: number): Point {
  const bend = (z + 20) / 120;
  return [0, 62 - anatomy.kyphosis * bend * bend * 0.55, z];
}

/** Spine, sternum, clavicles and scapulae. */
export function paintSkeleton(canvas: Canvas, anatomy: Anatomy): void {
  const cortex = 620 * anatomy.boneHu;
  const marrow = 205 * anatomy.boneHu;
  const { edgeMm, hu, tissue } = canvas;
  visitBox(canvas, [0, 66, 0], [46, 60, 400], (offset, x, y, z) => {
    if (skinDistance(anatomy, x, y, z) > -6) return;
    const cy = spineCentre(anatomy, z)[1];
    const level = (z / 24 + 400) % 1;
    const disc = Math.abs(level - 0.5) > 0.42;
    const dy = y - cy;
    // Body: an ellipse, flattened where it faces the canal.
    const r = Math.sqrt((x * x) / (18 * 18) + (dy * dy) / (15.5 * 15.5));
    const body = Math.max((r - 1) * 16, dy - 13);
    let value = NaN;
    let share = coverage(body, edgeMm);
    if (share > 0) value = disc ? 85 : body > -2.2 ? cortex : marrow;
    const canal = Math.hypot(x, dy - 23) - 9.5;
    if (canal < 0) {
      value = 25;
      share = coverage(canal, edgeMm);
    } else if (!disc || level > 0.5) {
      // Pedicles and laminae ring the canal; the spinous process points backwards, the transverse ones sideways.
      const ring = Math.abs(canal - 3.2) - 3;
      const spinous = Math.max(Math.abs(x) - 3.2, Math.abs(dy - 45) - 16, Math.abs(level - 0.5) * 24 - 9);
      const transverse = Math.max(Math.abs(dy - 22 - 0.2 * Math.abs(x)) - 4.2, Math.abs(x) - 32, 11 - Math.abs(x), Math.abs(level - 0.55) * 24 - 6);
      const posterior = coverage(Math.min(ring, spinous, transverse), edgeMm);
      if (posterior > share) {
        value = 0.8 * cortex;
        share = posterior;
      }
    }
    if (share <= 0) return;
    hu[offset] = Math.round(hu[offset]! + share * (value - hu[offset]!));
    if (share > 0.5) tissue[offset] = TISSUE.wall;
  });
  paintSternum(canvas, anatomy, cortex, marrow);
  for (const side of [-1, 1]) paintShoulder(canvas, side, cortex, marrow);
}

function paintSternum(canvas: Canvas, anatomy: Anatomy, cortex: number, marrow: number): void {
  const from = sternumPoint(46);
  const to = sternumPoint(-88);
  const bones = { on: EVERYWHERE, becomes: TISSUE.wall };
  for (const [wide, deep, value] of [[17, 6, cortex * 0.9], [13.5, 3.4, marrow]] as const) {
    for (let z = from[2]; z > to[2]; z -= 8) {
      paintEllipsoid(canvas, ellipsoid(sternumPoint(z), [z > 20 ? wide * 1.5 : wide, deep, 7]), value * (anatomy.ageYears > 75 ? 0.9 : 1), bones);
    }
  }
}

/** The middle of the sternum at height z: it follows the front of the cavity. */
export function sternumPoint(z: number): Point {
  return [0, -95 + Math.max(0, z + 20) * 0.27, z];
}

function paintShoulder(canvas: Canvas, side: number, cortex: number, marrow: number): void {
  const wall = { on: (1 << TISSUE.wall) | (1 << TISSUE.mediastinum) };
  const clavicle: Point[] = [[side * 22, -72, 58], [side * 60, -62, 76], [side * 105, -22, 92], [side * 138, 4, 98]];
  paintPath(canvas, clavicle, 6, cortex, wall);
  paintPath(canvas, clavicle, 3.4, marrow, wall);
  // Scapula: a thin plate along the back of the ribs with its spine; the glenoid end is thicker.
  for (let z = 88; z > -18; z -= 7) {
    const t = (88 - z) / 106;
    const inner: Point = [side * (74 + 8 * t), 82 - 6 * (1 - t), z];
    const outer: Point = [side * (128 - 26 * t), 46 + 26 * t, z];
    paintTube(canvas, inner, outer, 2.6, 3.4, cortex * 0.72, wall);
  }
  paintPath(canvas, [[side * 84, 84, 66], [side * 132, 40, 84]], 4.5, cortex * 0.8, wall);
  const glenoid: Point = [side * 140, 24, 74];
  paintEllipsoid(canvas, ellipsoid(glenoid, [11, 12, 17]), marrow * 1.4, wall);
  const humerus = along(glenoid, [side * 0.78, -0.1, 0.6], 24);
  paintEllipsoid(canvas, ellipsoid(humerus, [21, 21, 21]), cortex * 0.8, wall);
  paintEllipsoid(canvas, ellipsoid(humerus, [18, 18, 18]), marrow, wall);
}
