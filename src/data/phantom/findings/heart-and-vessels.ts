/** Cardiomegaly, pericardial effusion, calcified arteries. */
import { along, heartEllipsoid, unit } from '../anatomy.ts';
import type { Point } from '../anatomy.ts';
import { EVERYWHERE, ON_CHEST, paintEllipsoid, paintPath, TISSUE } from '../canvas.ts';
import { aortaPath, aortaRadiusAt, heartSurface, perpendicular } from '../mediastinum.ts';
import { defineFinding, gradeOf, joinWords, sizeText } from './finding.ts';

/** A heart 1.2 to 1.5 times the normal size. */
export const cardiomegaly = defineFinding<{ factor: number }>({
  phase: 'setup',
  plan(anatomy, random, severity) {
    // Relative to a normal of 1, so that a constitutionally small heart is enlarged too.
    const factor = (1.2 + 0.28 * severity + random.uniform(0, 0.04)) / Math.min(1, anatomy.heartScale);
    const heart = heartEllipsoid(anatomy, factor);
    const width = 2 * Math.hypot(...heart.axes.map((axis, m) => axis[0] * heart.radii[m]!));
    const ratio = Math.min(0.78, width / 244).toFixed(2);
    return { shape: { factor }, words: { grade: gradeOf(severity), where: '', size: '', detail: `a cardiothoracic ratio of about ${ratio}` } };
  },
  paint(scene, { factor }) {
    scene.heartFactor = factor;
  },
});

/** A shell of fluid, thicker behind and below the heart, where it collects first. */
export const pericardialEffusion = defineFinding<{ thickness: number; hu: number }>({
  phase: 'sac',
  plan(anatomy, random, severity) {
    const thickness = 6 + 19 * severity;
    return { shape: { thickness, hu: random.uniform(2, 18) }, words: { grade: gradeOf(severity), where: '', size: sizeText(anatomy, thickness), detail: '' } };
  },
  paint({ canvas, anatomy, heartFactor }, { thickness, hu }) {
    const heart = heartEllipsoid(anatomy, heartFactor);
    const shell = (extra: number, shift: number) => ({
      ...heart,
      centre: [heart.centre[0], heart.centre[1] + 0.25 * shift, heart.centre[2] - 0.15 * shift] as Point,
      radii: [heart.radii[0] + extra, heart.radii[1] + extra, heart.radii[2] + extra] as Point,
    });
    const inChest = { on: ON_CHEST, becomes: TISSUE.mediastinum };
    paintEllipsoid(canvas, shell(thickness * 0.85 + 7, thickness), 40, inChest);
    paintEllipsoid(canvas, shell(thickness * 0.85 + 5, thickness), hu, inChest);
  },
});

interface Plaque {
  /** Share of the aorta's length from root to abdomen. */
  at: number;
  angle: number;
  arc: number;
  length: number;
  thickness: number;
  hu: number;
}

/** Names of the aorta's parts by share of its length. */
const aortaPart = (share: number): string => (share < 0.16 ? 'the ascending aorta' : share < 0.38 ? 'the aortic arch' : 'the descending aorta');

/** Calcified arcs in the aortic wall. */
export const arterialCalcification = defineFinding<Plaque[]>({
  phase: 'last',
  plan(anatomy, random, severity) {
    const count = Math.round(4 + 30 * severity * severity + 8 * severity);
    const plaques = Array.from({ length: count }, (): Plaque => ({
      at: random.chance(0.45) ? random.uniform(0.17, 0.38) : random.uniform(0.06, 0.82),
      angle: random.uniform(0, 2 * Math.PI),
      arc: random.uniform(0.4, 0.9 + severity),
      length: random.uniform(4, 8 + 12 * severity),
      thickness: random.uniform(2, 2.8 + 1.8 * severity),
      hu: random.uniform(550, 1250),
    }));
    const parts = joinWords(plaques.map((p) => aortaPart(p.at)).sort());
    return { shape: plaques, words: { grade: gradeOf(severity), where: parts, size: '', detail: parts } };
  },
  paint({ canvas, anatomy }, plaques) {
    const path = aortaPath(anatomy);
    for (const plaque of plaques) {
      const start = plaque.at * (path.length - 2);
      const i = Math.floor(start);
      const [a, b] = [path[i]!, path[i + 1]!];
      const direction = unit([b[0] - a[0], b[1] - a[1], b[2] - a[2]]);
      const centre = along(a, direction, (start - i) * 8);
      const radius = aortaRadiusAt(anatomy, plaque.at) + 0.6;
      const onWall = (angle: number, shift: number) => along(along(centre, direction, shift), perpendicular(direction, angle), radius);
      const steps = Math.max(2, Math.ceil((plaque.arc * radius) / 4));
      for (let s = 0; s <= steps; s++) {
        const angle = plaque.angle + (plaque.arc * s) / steps;
        const ends = [onWall(angle, -plaque.length / 2), onWall(angle, plaque.length / 2)];
        paintPath(canvas, ends, plaque.thickness / 2, plaque.hu, { on: (1 << TISSUE.mediastinum) | (1 << TISSUE.abdomen) });
      }
    }
  },
});

type Coronary = 'left anterior descending' | 'circumflex' | 'right coronary';
/** Course on the heart's surface: angle, and the range from base (−1) to apex (1). */
const CORONARIES: Record<Coronary, { angle: number; turn: number; from: number; to: number }> = {
  'left anterior descending': { angle: 1.25, turn: -0.35, from: -0.5, to: 0.75 },
  circumflex: { angle: 2.2, turn: 1.2, from: -0.55, to: 0.1 },
  'right coronary': { angle: 0.15, turn: -1.5, from: -0.45, to: -0.1 },
};

/** Bright beads along the coronary arteries. */
export const coronaryCalcification = defineFinding<{ vessel: Coronary; beads: { at: number; length: number; radius: number; hu: number }[] }[]>({
  phase: 'last',
  plan(_anatomy, random, severity) {
    const all = Object.keys(CORONARIES) as Coronary[];
    const vessels = severity < 0.3 ? [random.chance(0.7) ? all[0]! : random.pick(all)] : severity < 0.6 ? random.sample(all, 2) : all;
    const shape = vessels.map((vessel) => ({
      vessel,
      beads: Array.from({ length: random.integer(2, 3 + Math.round(6 * severity)) }, () => ({
        at: random.uniform(0, 0.8),
        length: random.uniform(0.06, 0.1 + 0.22 * severity),
        radius: random.uniform(1.4, 2 + 1.9 * severity),
        hu: random.uniform(450, 1100),
      })),
    }));
    const names = joinWords(vessels.map((v) => `the ${v} artery`));
    return { shape, words: { grade: gradeOf(severity), where: names, size: '', detail: names } };
  },
  paint({ canvas, anatomy, heartFactor }, shape) {
    const heart = heartEllipsoid(anatomy, heartFactor);
    for (const { vessel, beads } of shape) {
      const course = CORONARIES[vessel];
      const at = (share: number) =>
        heartSurface(heart, course.from + share * (course.to - course.from), course.angle + share * course.turn, -1);
      for (const bead of beads) {
        paintPath(canvas, [0, 0.5, 1].map((t) => at(Math.min(1, bead.at + t * bead.length))), bead.radius, bead.hu, { on: EVERYWHERE });
      }
    }
  },
});
