/** Medical material, hiatal hernia, enlarged lymph nodes. */
import { heartEllipsoid } from '../anatomy.ts';
import type { Point } from '../anatomy.ts';
import { ellipsoid, EVERYWHERE, ON_CHEST, paintEllipsoid, paintPath, sphere, TISSUE, visitBox, blend, coverage } from '../canvas.ts';
import { LUMEN_HU } from '../mediastinum.ts';
import { sternumPoint } from '../body.ts';
import { defineFinding, gradeOf, joinWords, sizeText } from './finding.ts';
import type { Scene } from './finding.ts';

const METAL_HU = 3000;

type Device = 'pacemaker' | 'port' | 'sternal wires' | 'valve';
const DEVICE_WORDS: Record<Device, string> = {
  pacemaker: 'a cardiac pacemaker with leads in the right heart',
  port: 'a port catheter that ends in the superior vena cava',
  'sternal wires': 'metallic sternotomy wires',
  valve: 'a prosthetic heart valve and metallic sternotomy wires',
};

export const medicalMaterial = defineFinding<{ device: Device; side: -1 | 1; size: number; depth: number }>({
  phase: 'last',
  plan(anatomy, random, severity) {
    const device = random.pick<Device>(['pacemaker', 'pacemaker', 'pacemaker', 'port', 'port', 'sternal wires', 'sternal wires', 'valve']);
    const side = device === 'pacemaker' ? (random.chance(0.85) ? 1 : -1) : random.chance(0.8) ? -1 : 1;
    const words = { grade: '', where: side > 0 ? 'the left chest wall' : 'the right chest wall', size: '', detail: DEVICE_WORDS[device] };
    return { shape: { device, side, size: 0.85 + 0.4 * severity, depth: -84 - 0.6 * anatomy.fatMm }, words };
  },
  paint(scene, { device, side, size, depth }) {
    const { canvas } = scene;
    const svc: Point[] = [[-27, -16, 46], [-27, -14, 10], [-24, -12, -30]];
    const vein: Point[] = [[side * 88, depth + 22, 62], [side * 58, -48, 78], side > 0 ? [20, -28, 66] : [-46, -28, 70], ...svc];
    if (device === 'pacemaker') {
      box(scene, [side * 88, depth, 52], [23 * size, 5.5 * size, 21 * size]);
      const heart = heartEllipsoid(scene.anatomy, scene.heartFactor);
      const ventricle: Point = [heart.centre[0] + 22, heart.centre[1] - 18, heart.centre[2] - 26];
      paintPath(canvas, [[side * 88, depth + 4, 68], ...vein, [-18, -22, -58], ventricle], 1.5, METAL_HU);
      paintPath(canvas, [svc[2]!, [-22, -34, -46]], 1.5, METAL_HU);
    } else if (device === 'port') {
      paintEllipsoid(canvas, ellipsoid([side * 80, depth, 42], [15 * size, 8 * size, 15 * size]), 2800);
      paintPath(canvas, [[side * 80, depth + 4, 54], ...vein], 1.5, 1800);
    } else {
      sternalWires(scene, size);
      if (device === 'valve') valve(scene, size);
    }
  },
});

/** A pacemaker's can: a flat metal box. */
function box({ canvas }: Scene, centre: Point, half: Point): void {
  const reach: Point = [half[0] + 3, half[1] + 3, half[2] + 3];
  visitBox(canvas, centre, reach, (offset, x, y, z) => {
    const d = Math.max(Math.abs(x - centre[0]) - half[0], Math.abs(y - centre[1]) - half[1], Math.abs(z - centre[2]) - half[2]);
    const share = coverage(d, canvas.edgeMm);
    if (share > 0) blend(canvas, offset, METAL_HU, share);
  });
}

/** Six loops round the sternum. */
function sternalWires({ canvas }: Scene, size: number): void {
  for (let n = 0; n < 6; n++) {
    const [, y, z] = sternumPoint(36 - n * 21);
    const loop: Point[] = [];
    for (let s = 0; s <= 10; s++) {
      const angle = (s / 10) * 2 * Math.PI;
      loop.push([15 * Math.cos(angle), y + 8.5 * Math.sin(angle), z + 2 * Math.cos(angle)]);
    }
    paintPath(canvas, loop, 1.1 * size, METAL_HU);
    paintEllipsoid(canvas, sphere([2, y - 9, z], 2.4 * size), METAL_HU);
  }
}

/** A ring at the aortic root. */
function valve({ canvas }: Scene, size: number): void {
  const ring: Point[] = [];
  for (let s = 0; s <= 12; s++) {
    const angle = (s / 12) * 2 * Math.PI;
    ring.push([2 + 13 * Math.cos(angle), -26 + 9 * Math.sin(angle), -38 + 9 * Math.sin(angle)]);
  }
  paintPath(canvas, ring, 1.9 * size, 2800);
}

/** Part of the stomach above the diaphragm, behind the heart: wall, fat or fluid, and often gas that rises to the front. */
export const hiatalHernia = defineFinding<{ radius: number; gas: number; content: number; aside: number }>({
  phase: 'last',
  plan(anatomy, random, severity) {
    const radius = 15 + 25 * severity;
    const gas = severity > 0.25 && random.chance(0.75) ? random.uniform(0.4, 0.75) : 0;
    const detail = gas > 0 ? 'the stomach with its gas' : 'the gastric cardia';
    return {
      shape: { radius, gas, content: random.chance(0.3) ? -80 : 30, aside: random.uniform(0, 12) },
      words: { grade: gradeOf(severity), where: '', size: sizeText(anatomy, 2 * radius), detail },
    };
  },
  paint({ canvas, anatomy }, { radius, gas, content, aside }) {
    // It stands on the hiatus: a bigger hernia reaches higher.
    const centre: Point = [8 + aside, 24, -112 + 0.75 * radius + 0.8 * anatomy.diaphragmShift];
    const radii = (r: number): Point => [1.15 * r, 0.82 * r, r];
    const on = { on: ON_CHEST | (1 << TISSUE.abdomen), becomes: TISSUE.mediastinum };
    paintEllipsoid(canvas, ellipsoid(centre, radii(radius)), 48, on);
    paintEllipsoid(canvas, ellipsoid(centre, radii(radius - 4)), content, on);
    if (gas > 0) {
      const inner = radii(radius - 5);
      const front: Point = [centre[0], centre[1] - inner[1] * (1 - gas), centre[2] + 2];
      paintEllipsoid(canvas, ellipsoid(front, [inner[0] * 0.85, inner[1] * gas, inner[2] * 0.85]), LUMEN_HU + 20, on);
    }
  },
});

const STATIONS: readonly { name: string; at: Point; weight: number }[] = [
  { name: 'right lower paratracheal', at: [-20, 4, 20], weight: 1 },
  { name: 'right upper paratracheal', at: [-18, 4, 48], weight: 1 },
  { name: 'prevascular', at: [6, -46, 28], weight: 1 },
  { name: 'aortopulmonary', at: [34, -4, 20], weight: 1 },
  { name: 'subcarinal', at: [2, 20, -20], weight: 1.25 },
  { name: 'right hilar', at: [-46, 8, -22], weight: 1.1 },
  { name: 'left hilar', at: [50, 12, -16], weight: 1.1 },
  { name: 'right axillary', at: [-142, -28, 62], weight: 1 },
  { name: 'left axillary', at: [142, -28, 62], weight: 1 },
];

/** Soft nodes, short axis above 10 mm, alone or in conglomerates. */
export const lymphadenopathy = defineFinding<{ at: Point; radii: Point }[]>({
  phase: 'last',
  plan(anatomy, random, severity) {
    const stations = random.sample(STATIONS, 2 + Math.round(4.5 * severity + random.uniform(0, 1)));
    let largest = 0;
    const nodes = stations.flatMap(({ at, weight }) =>
      Array.from({ length: random.integer(1, 1 + Math.round(2.4 * severity)) }, (_, n) => {
        const short = weight * (7 + 7.5 * severity) * random.uniform(0.85, 1.2);
        largest = Math.max(largest, 2 * short);
        const spread = n === 0 ? 3 : 1.2 * short;
        const jitter = () => random.uniform(-spread, spread);
        return { at: [at[0] + jitter(), at[1] + jitter(), at[2] + jitter()] as Point, radii: [short, short * random.uniform(1, 1.4), short * random.uniform(1, 1.4)] as Point };
      }));
    const names = joinWords(stations.slice(0, 3).map((s) => s.name));
    return { shape: nodes, words: { grade: gradeOf(severity), where: `the ${names} ${stations.length > 1 ? 'stations' : 'station'}`, size: sizeText(anatomy, largest), detail: names } };
  },
  paint({ canvas }, nodes) {
    for (const node of nodes) paintEllipsoid(canvas, ellipsoid(node.at, node.radii), 52, { on: EVERYWHERE });
  },
});

