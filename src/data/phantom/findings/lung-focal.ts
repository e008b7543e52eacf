/** Nodules, scars, pleural fluid, and the two findings of the airways. */
import { along, cavityDistance, diaphragmHeight, lobeAt, lungPoint, sideAt, unit } from '../anatomy.ts';
import type { Lobe, Point, Side } from '../anatomy.ts';
import { blend, coverage, ellipsoid, ON_LUNG, paintEllipsoid, paintPath, paintTube, sphere, TISSUE, visitBox } from '../canvas.ts';
import { defineFinding, gradeOf, joinWords, lobeName, patientMm, sizeText } from './finding.ts';

/** Spheres of 4 to 25 mm, a few with spicules or calcium, some only ground glass. */
export const lungNodule = defineFinding<{ at: Point; radius: number; hu: number; spicules: Point[] }[]>({
  phase: 'detail',
  plan(anatomy, random, severity) {
    const nodules: { at: Point; radius: number; hu: number; spicules: Point[] }[] = [];
    const count = random.chance(0.35) ? 1 : random.integer(2, 4 + Math.round(8 * severity));
    for (let n = 0; n < count; n++) {
      const at = lungPoint(anatomy, random, { depth: [4, 45], zRange: [-135, 95] });
      const radius = ((n === 0 ? 1 : random.uniform(0.5, 1)) * 4 * (25 / 4) ** severity) / 2 / patientMm(anatomy, 1);
      const kind = random.uniform(0, 1);
      const hu = kind < 0.08 ? 420 : kind < 0.2 ? -520 : random.uniform(15, 65);
      const spicules = radius > 6 && kind > 0.5 ? Array.from({ length: 7 }, () => unit([random.normal(), random.normal(), random.normal()])) : [];
      nodules.push({ at, radius, hu, spicules });
    }
    const largest = nodules.reduce((a, b) => (b.radius > a.radius ? b : a));
    const nature = largest.hu > 200 ? 'calcified' : largest.hu < -200 ? 'ground-glass' : largest.spicules.length > 0 ? 'spiculated' : 'solid';
    const where = lobeName(sideAt(largest.at[0]), lobeAt(...largest.at));
    return { shape: nodules, words: { grade: nodules.length > 1 ? 'multiple' : 'single', where, size: sizeText(anatomy, 2 * largest.radius), detail: nature } };
  },
  paint({ canvas }, nodules) {
    for (const { at, radius, hu, spicules } of nodules) {
      for (const d of spicules) paintTube(canvas, at, along(at, d, radius * 1.9), radius * 0.4, 0.3, hu - 80, { on: ON_LUNG });
      paintEllipsoid(canvas, sphere(at, radius), hu, { on: ON_LUNG });
    }
  },
});

/** Irregular bands that run in from the pleura, with a cap of thickened pleura; apical or basal. */
export const fibroticSequela = defineFinding<{ bands: { points: Point[]; radius: number; hu: number }[]; caps: { at: Point; radii: Point }[] }>({
  phase: 'detail',
  plan(anatomy, random, severity) {
    const apical = random.chance(0.7);
    const zRange = apical ? ([48, 104] as const) : ([-145, -70] as const);
    const site = { zRange, depth: [2, 9] as const, side: severity < 0.3 ? random.pick<Side>(['right', 'left']) : undefined };
    const bands = [];
    const caps = [];
    const places: { side: Side; lobe: Lobe }[] = [];
    for (let n = random.integer(3, 4) + Math.round(11 * severity); n > 0; n--) {
      const start = lungPoint(anatomy, random, site);
      places.push({ side: sideAt(start[0]), lobe: lobeAt(...start) });
      const inward = unit([-start[0] * 0.8, -start[1] * 0.5 + random.uniform(-20, 20), apical ? -60 : 45]);
      const points: Point[] = [start];
      for (let k = 0; k < 4; k++) {
        const turn: Point = [random.normal() * 3, random.normal() * 3, random.normal() * 3];
        const next = along(points[k]!, inward, 4 + 7 * severity);
        points.push([next[0] + turn[0], next[1] + turn[1], next[2] + turn[2]]);
      }
      bands.push({ points, radius: random.uniform(1.6, 2.4 + 2.6 * severity), hu: random.uniform(-120, 40) });
      if (random.chance(0.5 + 0.5 * severity)) caps.push({ at: start, radii: [9 + 11 * severity, 9 + 11 * severity, 7 + 9 * severity] as Point });
    }
    const sides = new Set(places.map((p) => p.side));
    const zone = apical ? 'apex' : 'base';
    const where = sides.size === 2 ? `both lung ${apical ? 'apices' : 'bases'}` : `the ${places[0]!.side} lung ${zone}`;
    return { shape: { bands, caps }, words: { grade: gradeOf(severity), where, size: '', detail: apical ? 'apical' : 'basal' } };
  },
  paint({ canvas }, { bands, caps }) {
    for (const { at, radii } of caps) paintEllipsoid(canvas, ellipsoid(at, radii), 10, { on: ON_LUNG, softMm: 4 });
    for (const { points, radius, hu } of bands) paintPath(canvas, points, radius, hu, { on: ON_LUNG });
  },
});

/** Free fluid: it fills the back of the base and rises along the chest wall in a meniscus. */
export const pleuralEffusion = defineFinding<{ side: -1 | 1; depth: number; hu: number }[]>({
  phase: 'tissue',
  plan(anatomy, random, severity) {
    const first = random.chance(0.55) ? -1 : 1;
    const shape: { side: -1 | 1; depth: number; hu: number }[] = [{ side: first, depth: 12 + 62 * severity, hu: random.uniform(0, 20) }];
    if (random.chance(0.55)) shape.push({ side: first === -1 ? 1 : -1, depth: (12 + 62 * severity) * random.uniform(0.4, 0.9), hu: shape[0]!.hu });
    const where = shape.length === 2 ? 'both pleural spaces' : `the ${first < 0 ? 'right' : 'left'} pleural space`;
    const detail = shape.length === 2 ? `bilateral, more on the ${first < 0 ? 'right' : 'left'}` : `${first < 0 ? 'right' : 'left'}-sided`;
    return { shape, words: { grade: gradeOf(severity), where, size: sizeText(anatomy, shape[0]!.depth), detail } };
  },
  paint({ canvas, anatomy }, pools) {
    const { edgeMm, tissue } = canvas;
    visitBox(canvas, [0, 20, -70], [126, 90, 120], (offset, x, y, z) => {
      if (tissue[offset] !== TISSUE.rightLung && tissue[offset] !== TISSUE.leftLung && tissue[offset] !== TISSUE.filled) return;
      const pool = pools.find((p) => p.side * x > 0);
      if (!pool) return;
      const height = z - diaphragmHeight(anatomy, 58 * pool.side, 0);
      // The level falls towards the front with height; surface tension draws the fluid up along the wall.
      const meniscus = 9 * Math.exp(cavityDistance(x, y, z) / 9);
      const front = 88 - pool.depth + 0.62 * Math.max(height, -30) * (60 / (pool.depth + 22));
      const share = coverage(front - y - meniscus, edgeMm);
      if (share <= 0) return;
      blend(canvas, offset, pool.hu, share);
      if (share > 0.5) tissue[offset] = TISSUE.mediastinum;
    });
  },
});

/** Thick bronchial walls in both lungs. */
export const peribronchialThickening = defineFinding<{ extraWall: number }>({
  phase: 'setup',
  plan(_anatomy, _random, severity) {
    const shape = { extraWall: 1.6 + 2.8 * severity };
    return { shape, words: { grade: gradeOf(severity), where: severity > 0.5 ? 'both lungs' : 'the central parts of both lungs', size: '', detail: 'central and segmental' } };
  },
  paint(scene, { extraWall }) {
    scene.airways.extraWall = extraWall;
  },
});

/** Wide bronchi in one or more lobes, with thick walls; cystic where severe. */
export const bronchiectasis = defineFinding<{ lobes: string[]; factor: number; cysts: { at: Point; radius: number }[] }>({
  phase: 'setup',
  plan(anatomy, random, severity) {
    const all: [Side, Lobe][] = [['right', 'upper'], ['right', 'middle'], ['right', 'lower'], ['left', 'upper'], ['left', 'lower']];
    const chosen = random.sample(all, 1 + Math.round(3 * severity + random.uniform(0, 0.9)));
    const cysts = [];
    for (let n = severity > 0.3 ? Math.round(26 * severity) : 0; n > 0; n--) {
      const [side, lobe] = random.pick(chosen);
      const at = lungPoint(anatomy, random, { side, lobe, depth: [8, 40] });
      cysts.push({ at, radius: random.uniform(4, 5 + 5 * severity) });
    }
    const kind = severity > 0.66 ? 'cystic' : severity > 0.36 ? 'varicose' : 'cylindrical';
    const where = chosen.length > 3 ? 'both lungs' : joinWords(chosen.map(([side, lobe]) => lobeName(side, lobe)));
    return { shape: { lobes: chosen.map((c) => c.join(' ')), factor: 1.9 + 1.7 * severity, cysts }, words: { grade: gradeOf(severity), where, size: '', detail: kind } };
  },
  paint(scene, { lobes, factor, cysts }) {
    for (const lobe of lobes) scene.airways.dilatation.set(lobe, factor);
    scene.airways.cysts.push(...cysts);
  },
});

