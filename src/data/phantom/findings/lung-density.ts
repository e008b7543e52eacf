/** Findings that change the lung's density over regions: emphysema, ground glass, mosaic attenuation, consolidation, septal lines. */
import { diaphragmHeight, lobeAt, lungDistance, lungPoint, sideAt } from '../anatomy.ts';
import type { Lobe, Point, Side } from '../anatomy.ts';
import { blend, isLung, ON_LUNG, paintEllipsoid, sphere, TISSUE, visitBox } from '../canvas.ts';
import type { Brush, Canvas } from '../canvas.ts';
import { defineFinding, gradeOf, lobeName, sizeText, spreadWords } from './finding.ts';

const WHOLE_LUNG: readonly [Point, Point] = [[0, 4, -25], [126, 96, 150]];

/** Visits lung voxels only. */
function visitLung(canvas: Canvas, brush: Brush, box: readonly [Point, Point] = WHOLE_LUNG): void {
  visitBox(canvas, box[0], box[1], (offset, x, y, z) => {
    if (isLung(canvas.tissue[offset]!)) brush(offset, x, y, z);
  });
}

const smoothstep = (low: number, high: number, value: number): number => {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return t * t * (3 - 2 * t);
};

/** Low-density holes, most in the upper lobes; bullae and hyperinflated darkening where severe. */
export const emphysema = defineFinding<{ severity: number; bullae: { at: Point; radius: number }[]; shift: number }>({
  phase: 'air',
  plan(anatomy, random, severity) {
    const bullae = [];
    const count = severity > 0.45 ? random.integer(1, Math.round(1 + 9 * (severity - 0.4))) : 0;
    for (let n = 0; n < count; n++) {
      const at = lungPoint(anatomy, random, { zRange: [10, 100], depth: [3, 14] });
      bullae.push({ at, radius: random.uniform(7, 10 + 20 * severity) });
    }
    const kind = bullae.length > 0 ? 'centrilobular and bullous' : random.pick(['centrilobular', 'paraseptal and centrilobular']);
    const where = severity > 0.6 ? 'both lungs' : 'the upper lobes of both lungs';
    return { shape: { severity, bullae, shift: random.uniform(0, 500) }, words: { grade: gradeOf(severity), where, size: '', detail: kind } };
  },
  paint({ canvas, texture }, { severity, bullae, shift }) {
    const threshold = 0.24 - 0.46 * severity;
    visitLung(canvas, (offset, x, y, z) => {
      const upper = smoothstep(-120 + 40 * (1 - severity), 55, z);
      // A turned second lattice hides the first one's rows.
      const turned = texture.smooth(0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x + shift, z + 0.4 * x, 8);
      const noise = 0.65 * (texture.smooth(x + shift, y, z, 11) + turned);
      const hole = smoothstep(threshold, threshold + 0.16, noise - 0.3 * (1 - upper));
      const dark = canvas.hu[offset]! - (25 + 50 * severity) * upper;
      canvas.hu[offset] = Math.round(dark + hole * (0.55 + 0.45 * upper) * (-988 - dark));
    });
    for (const bulla of bullae) {
      paintEllipsoid(canvas, sphere(bulla.at, bulla.radius + 1.2), -700, { on: ON_LUNG });
      paintEllipsoid(canvas, sphere(bulla.at, bulla.radius), -992, { on: ON_LUNG });
    }
  },
});

interface Patch {
  at: Point;
  radius: number;
  gain: number;
}

/** Soft-edged ground glass; vessels stay visible in it. */
export const lungOpacity = defineFinding<{ patches: Patch[]; shift: number }>({
  phase: 'air',
  plan(anatomy, random, severity) {
    const patches: Patch[] = [];
    const count = random.integer(3, 4) + Math.round(13 * severity * severity);
    const site = random.chance(0.6) ? { depth: [4, 22] as const, zRange: [-140, 60] as const } : {};
    for (let n = 0; n < count; n++) {
      const at = lungPoint(anatomy, random, site);
      patches.push({ at, radius: random.uniform(16, 23 + 24 * severity), gain: random.uniform(220, 310 + 190 * severity) });
    }
    const places = patches.map((p) => ({ side: sideAt(p.at[0]), lobe: lobeAt(...p.at) }));
    const largest = Math.max(...patches.map((p) => 2 * p.radius));
    return {
      shape: { patches, shift: random.uniform(0, 500) },
      words: { grade: gradeOf(severity), where: spreadWords(places), size: sizeText(anatomy, largest), detail: patches.length > 1 ? 'patchy' : 'focal' },
    };
  },
  paint({ canvas, texture }, { patches, shift }) {
    for (const { at, radius, gain } of patches) {
      const reach = 1.3 * radius;
      visitLung(canvas, (offset, x, y, z) => {
        const d = Math.hypot(x - at[0], y - at[1], z - at[2]) / radius;
        const level = d + 0.45 * texture.smooth(x + shift, y, z, 0.55 * radius + 5);
        if (level >= 1.1) return;
        const share = smoothstep(1.1, 0.6, level) * (0.8 + 0.5 * texture.smooth(x, y + shift, z, 8));
        canvas.hu[offset] = Math.min(-180, Math.round(canvas.hu[offset]! + share * gain));
      }, [at, [reach, reach, reach]]);
    }
  },
});

/** Lobules of unlike density side by side. */
export const mosaicAttenuation = defineFinding<{ contrast: number; cellMm: number; shift: number }>({
  phase: 'air',
  plan(_anatomy, random, severity) {
    const shape = { contrast: 85 + 130 * severity, cellMm: random.uniform(24, 36), shift: random.uniform(0, 400) };
    return { shape, words: { grade: gradeOf(severity), where: 'both lungs', size: '', detail: random.pick(['lobular', 'geographic', 'patchy']) } };
  },
  paint({ canvas, texture }, { contrast, cellMm, shift }) {
    const cell = { id: 0, border: 0 };
    visitLung(canvas, (offset, x, y, z) => {
      texture.cell(x + shift, y, z, cellMm, cell);
      // Some lobules trap air, their neighbours take its blood.
      const value = cell.id > 0.08 ? 1.25 : cell.id < -0.3 ? -0.55 : 0.25;
      canvas.hu[offset] = Math.max(-975, Math.round(canvas.hu[offset]! + value * contrast * Math.min(1, cell.border * 5)));
    });
  },
});

/** Airless lung: hides the vessels, its bronchi stay open (the air bronchogram). */
export const consolidation = defineFinding<{ patches: Patch[]; hu: number; shift: number }>({
  phase: 'tissue',
  plan(anatomy, random, severity) {
    const patches: Patch[] = [];
    const count = 1 + (severity > 0.4 ? random.integer(0, 1 + Math.round(2 * severity)) : 0);
    const site = { zRange: [-150, 50] as const, depth: [5, 30] as const };
    for (let n = 0; n < count; n++) {
      const at = lungPoint(anatomy, random, random.chance(0.65) ? { ...site, lobe: 'lower' as const } : site);
      patches.push({ at, radius: (14 + 32 * severity) * random.uniform(0.85, 1.15), gain: 0 });
    }
    const places = patches.map((p) => ({ side: sideAt(p.at[0]), lobe: lobeAt(...p.at) }));
    const largest = Math.max(...patches.map((p) => 2 * p.radius));
    return {
      shape: { patches, hu: random.uniform(10, 55), shift: random.uniform(0, 500) },
      words: { grade: gradeOf(severity), where: spreadWords(places), size: sizeText(anatomy, largest), detail: severity > 0.35 ? 'with air bronchograms' : '' },
    };
  },
  paint({ canvas, texture }, { patches, hu, shift }) {
    for (const { at, radius } of patches) {
      const reach = 1.35 * radius;
      visitLung(canvas, (offset, x, y, z) => {
        const d = Math.hypot(x - at[0], y - at[1], z - at[2]) / radius;
        const level = d + 0.4 * texture.smooth(x + shift, y, z, 0.5 * radius + 4);
        if (level >= 1.15) return;
        const share = smoothstep(1.15, 0.88, level);
        blend(canvas, offset, hu, share);
        if (share > 0.7) canvas.tissue[offset] = TISSUE.filled;
      }, [at, [reach, reach, reach]]);
    }
  },
});

/** Borders of the secondary lobules, thickened; most at the bases and below the pleura. */
export const septalThickening = defineFinding<{ gain: number; cellMm: number; width: number; basal: number; shift: number }>({
  phase: 'detail',
  plan(_anatomy, random, severity) {
    const basal = random.uniform(0.3, 0.9);
    const shape = { gain: 170 + 260 * severity, cellMm: random.uniform(15, 21), width: 0.1 + 0.08 * severity, basal, shift: random.uniform(0, 400) };
    const where = basal > 0.6 ? 'the lower zones of both lungs' : 'both lungs';
    return { shape, words: { grade: gradeOf(severity), where, size: '', detail: random.pick(['smooth', 'reticular']) } };
  },
  paint({ canvas, anatomy, texture }, { gain, cellMm, width, basal, shift }) {
    const cell = { id: 0, border: 0 };
    visitLung(canvas, (offset, x, y, z) => {
      const height = smoothstep(70, -60, z);
      const zone = 1 - basal + basal * height;
      const depth = -lungDistance(anatomy, x, y, z);
      const peripheral = depth < 32 ? 1 : 0.45;
      texture.cell(x + shift, y, z, cellMm, cell);
      const line = cell.border < width ? 1 - cell.border / width : 0;
      const haze = 0.1 * gain;
      canvas.hu[offset] = Math.round(Math.min(120, canvas.hu[offset]! + zone * peripheral * (line * gain + haze)));
    });
  },
});

/** Collapsed lung: a plate at the base, or the dependent part of a lower lobe. */
export const atelectasis = defineFinding<{ plates: { at: Point; radii: Point; tilt: number }[]; wedge: { side: -1 | 1; height: number } | null }>({
  phase: 'tissue',
  plan(anatomy, random, severity) {
    const lobar = severity > 0.45;
    const side: Side = random.chance(0.5) ? 'right' : 'left';
    const plates = [];
    for (let n = lobar ? 0 : random.integer(2, 3 + Math.round(5 * severity)); n > 0; n--) {
      const at = lungPoint(anatomy, random, { side: random.chance(0.7) ? side : undefined, zRange: [-140, -40], depth: [6, 20] });
      plates.push({ at, radii: [24 + 50 * severity, 22 + 34 * severity, 3.4 + 6 * severity] as Point, tilt: random.uniform(-0.6, 0.6) });
    }
    const places = plates.map((p) => ({ side: sideAt(p.at[0]), lobe: lobeAt(...p.at) as Lobe }));
    const words = lobar
      ? { where: lobeName(side, 'lower'), detail: 'segmental to lobar', size: '' }
      : { where: spreadWords(places), detail: random.pick(['linear', 'plate-like', 'subsegmental']), size: '' };
    const wedge = lobar ? { side: side === 'right' ? (-1 as const) : (1 as const), height: 36 + 70 * (severity - 0.45) } : null;
    return { shape: { plates, wedge }, words: { grade: gradeOf(severity), ...words } };
  },
  paint({ canvas, anatomy }, { plates, wedge }) {
    for (const { at, radii, tilt } of plates) {
      const [c, s] = [Math.cos(tilt), Math.sin(tilt)];
      const axes: [Point, Point, Point] = [[c, 0, s], [0, 1, 0], [-s, 0, c]];
      paintEllipsoid(canvas, { centre: at, radii, axes }, 25, { on: ON_LUNG, becomes: TISSUE.filled });
    }
    if (!wedge) return;
    const { side, height } = wedge;
    visitLung(canvas, (offset, x, y, z) => {
      if (x * side < 0) return;
      // A triangle against spine and diaphragm whose hypotenuse is the displaced fissure.
      const above = z - diaphragmHeight(anatomy, 58 * side, 30);
      const level = (92 - y) / (0.75 * height + 12) + Math.abs(x) / (height + 62) + Math.max(-20, above) / (height + 40);
      const share = smoothstep(1.3, 1.14, level);
      if (share <= 0) return;
      blend(canvas, offset, 42, share);
      if (share > 0.6) canvas.tissue[offset] = TISSUE.filled;
    });
  },
});
