/** Pulmonary vessels that branch from the hila, and the bronchi that run beside the arteries. */
import { along, lobeAt, lungPoint, sideAt, unit } from './anatomy.ts';
import type { Anatomy, Lobe, LungSite, Point, Side } from './anatomy.ts';
import { ON_LUNG, paintEllipsoid, paintTube, sphere, TISSUE } from './canvas.ts';
import type { Canvas } from './canvas.ts';
import { AIRWAY_WALL_HU, LUMEN_HU, perpendicular } from './mediastinum.ts';
import type { RandomStream } from './random.ts';

export interface TreeSegment {
  from: Point;
  to: Point;
  radiusFrom: number;
  radiusTo: number;
  side: Side;
  lobe: Lobe;
  /** 0 lobar and segmental, 1 and 2 their branches. */
  generation: number;
}

export interface LungTree {
  vessels: TreeSegment[];
  bronchi: TreeSegment[];
}

/** How the airways of one scan differ from normal. */
export interface AirwayChange {
  /** Added wall thickness, mm. */
  extraWall: number;
  /** Lumen width factor by "side lobe", for example "right lower". */
  dilatation: Map<string, number>;
  /** Saccular ends of dilated bronchi. */
  cysts: { at: Point; radius: number }[];
}

const HILUM: Record<Side, Point> = { right: [-36, 15, -20], left: [40, 18, -16] };
/** Segments' territories: how many targets each lobe gets, and their height. */
const TERRITORIES: readonly (LungSite & { count: number })[] = [
  { side: 'right', lobe: 'upper', count: 4 }, { side: 'right', lobe: 'middle', count: 2 }, { side: 'right', lobe: 'lower', count: 5 },
  { side: 'left', lobe: 'upper', count: 5 }, { side: 'left', lobe: 'lower', count: 5 },
];

export function growLungTree(anatomy: Anatomy, random: RandomStream): LungTree {
  const tree: LungTree = { vessels: [], bronchi: [] };
  for (const { count, ...site } of TERRITORIES) {
    for (let n = 0; n < count; n++) {
      const target = lungPoint(anatomy, random, { ...site, depth: [8, 26] });
      growBranch(tree, random, HILUM[site.side!], target, random.uniform(4.6, 6.8), 0);
    }
  }
  return tree;
}

/** A curved branch from start towards target with side branches; radii shrink along it. */
function growBranch(tree: LungTree, random: RandomStream, start: Point, target: Point, radius: number, generation: number): void {
  const span: Point = [target[0] - start[0], target[1] - start[1], target[2] - start[2]];
  const length = Math.hypot(...span);
  if (length < 6) return;
  const direction = unit(span);
  const bow = perpendicular(direction, random.uniform(0, 2 * Math.PI));
  const bend = random.uniform(0.03, 0.12) * length;
  const pieces = generation === 0 ? 4 : generation === 1 ? 3 : 2;
  const thinnest = 0.42;
  const at = (t: number): Point => along(along(start, direction, t * length), bow, bend * Math.sin(Math.PI * t));
  const radiusAt = (t: number) => radius * (1 - (1 - thinnest) * t);
  const beside = perpendicular(direction, random.uniform(0, 2 * Math.PI));
  for (let p = 0; p < pieces; p++) {
    const [t0, t1] = [p / pieces, (p + 1) / pieces];
    const [from, to] = [at(t0), at(t1)];
    const middle = at((t0 + t1) / 2);
    const place = { side: sideAt(middle[0]), lobe: lobeAt(middle[0], middle[1], middle[2]), generation };
    tree.vessels.push({ from, to, radiusFrom: radiusAt(t0), radiusTo: radiusAt(t1), ...place });
    if (generation <= 1) {
      const shift = (t: number) => 2 * radiusAt(t) + 1;
      tree.bronchi.push({
        from: along(from, beside, shift(t0)), to: along(to, beside, shift(t1)),
        radiusFrom: 0.8 * radiusAt(t0), radiusTo: 0.8 * radiusAt(t1), ...place,
      });
    }
  }
  if (generation === 2) return;
  const children = generation === 0 ? 7 : 4;
  for (let c = 0; c < children; c++) {
    const t = 0.3 + (0.68 * (c + random.uniform(0, 0.9))) / children;
    const from = at(t);
    const sideways = perpendicular(direction, random.uniform(0, 2 * Math.PI));
    const heading = unit(along(sideways, direction, random.uniform(0.5, 1.5)));
    const reach = (generation === 0 ? 0.5 : 0.55) * length * random.uniform(0.6, 1.15);
    growBranch(tree, random, from, along(from, heading, reach), radiusAt(t) * random.uniform(0.6, 0.85), generation + 1);
  }
}

export function paintLungVessels(canvas: Canvas, tree: LungTree, blood: number): void {
  for (const s of tree.vessels) paintTube(canvas, s.from, s.to, s.radiusFrom, s.radiusTo, blood, { on: ON_LUNG });
}

/** Walls first, then lumina, so that branch points stay open. Healthy airways fade from sight within the lung; diseased ones don't. */
export function paintBronchi(canvas: Canvas, tree: LungTree, change: AirwayChange): void {
  const on = ON_LUNG | (1 << TISSUE.filled);
  const shown = tree.bronchi.flatMap((s) => {
    const factor = change.dilatation.get(`${s.side} ${s.lobe}`) ?? 1;
    if (s.generation > 0 && factor === 1 && change.extraWall === 0) return [];
    return [{ ...s, radiusFrom: s.radiusFrom * (factor > 1 ? 0.6 + 0.6 * factor : 1), radiusTo: s.radiusTo * factor, factor }];
  });
  for (const s of shown) {
    const wall = 0.9 + change.extraWall * (s.generation === 0 ? 1 : 0.7) + (s.factor > 1 ? 0.8 : 0);
    paintTube(canvas, s.from, s.to, s.radiusFrom + wall, s.radiusTo + wall, AIRWAY_WALL_HU, { on, opacity: change.extraWall > 0 || s.factor > 1 ? 1 : 0.5 });
  }
  for (const { at, radius } of change.cysts) paintEllipsoid(canvas, sphere(at, radius + 1.8), AIRWAY_WALL_HU, { on });
  for (const s of shown) paintTube(canvas, s.from, s.to, s.radiusFrom, s.radiusTo, LUMEN_HU, { on });
  for (const { at, radius } of change.cysts) paintEllipsoid(canvas, sphere(at, radius), LUMEN_HU, { on });
}
