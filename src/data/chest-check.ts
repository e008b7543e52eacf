/**
 * Does a volume look like a chest CT? Warnings only: the model answers for any volume, and an answer for an abdomen would
 * look no different. [O] thresholds: set so that whole and lower chests pass and an abdomen does not.
 */
import { BODY_ABOVE_HU, outsideBody } from './body-mask.ts';
import type { CtVolume } from './volume.ts';

/** Grid for the look: fine enough for lungs, coarse enough to cost milliseconds. */
const STEP_MM = 4;
/** Aerated lung lies between; bowel gas and the windpipe are nearer to -1000. */
const LUNG_HU = [-960, -400] as const;
const MIN_HEIGHT_MM = 140;
const MIN_WIDTH_MM = 200;
/** Measured: 0.19 to 0.25 on whole and lower chests, 0.03 on an abdomen. */
const MIN_LUNG_FRACTION = 0.08;
const MAX_LUNG_FRACTION = 0.75;
/** Calcified bone and contrast. */
const BONE_HU = 200;
/** Near the middle from left to right lie spine and breastbone. */
const MIDLINE_MM = 40;
/** Fewer coarse voxels of bone say nothing. */
const MIN_BONE = 50;
/** Measured, bone behind over bone in front: 3 to 10 on three chests, so below 0.35 for one that is turned over. */
const MIN_BACK_OVER_FRONT = 2 / 3;
/** Measured, depth over width of the body: 0.69 to 0.81. */
const MAX_DEPTH_OVER_WIDTH = 1.15;
/** The outermost part of the body on each side, arms and blankets, is not counted in its extent. */
const TRIMMED = 0.02;

/** What speaks against a chest. `field`: less than a whole one is in the picture, so that its share of lung says little. */
export interface ChestConcern {
  about: 'height' | 'field' | 'body' | 'lung' | 'orientation';
  /** A sentence for the user. */
  text: string;
}

/** What speaks against a chest, each a sentence for the user; empty for a plausible one. */
export function looksLikeChest(volume: CtVolume): string[] {
  return chestConcerns(volume).map(({ text }) => text);
}

export function chestConcerns(volume: CtVolume): ChestConcern[] {
  const [height, depth, width] = volume.shape.map((size, axis) => size * volume.spacingMm[axis]!) as [number, number, number];
  const concerns: ChestConcern[] = [];
  if (height < MIN_HEIGHT_MM) concerns.push({ about: 'height', text: `the scan covers only ${Math.round(height)} mm head to foot; a chest needs about 250` });
  if (depth < MIN_WIDTH_MM || width < MIN_WIDTH_MM) {
    concerns.push({ about: 'field', text: `the field of view is ${Math.round(depth)} × ${Math.round(width)} mm; a whole chest needs about 300` });
  }
  const { body, lung, tissue, bone } = measure(volume);
  if (body === 0) return [...concerns, { about: 'body', text: 'no body is found in the scan' }];
  const fraction = lung / body;
  const shown = `${(100 * fraction).toFixed(1)} %`;
  if (fraction < MIN_LUNG_FRACTION) concerns.push({ about: 'lung', text: `only ${shown} of the body is lung: this does not look like a chest` });
  if (fraction > MAX_LUNG_FRACTION) concerns.push({ about: 'lung', text: `${shown} of the body is lung: this does not look like a chest in HU` });
  return [...concerns, ...judgeOrientation(tissue, bone).map((text) => ({ about: 'orientation', text }) as const)];
}

/** Places along Y and X in mm, one for each coarse voxel. */
type Places = [y: number[], x: number[]];

/**
 * Is the spine behind, and is the body wider than deep? A header with wrong axes gives a volume that looks sound otherwise.
 * Head and feet, and left and right, cannot be told apart so.
 */
function judgeOrientation(tissue: Places, bone: Places): string[] {
  const [front, back] = extent(tissue[0]);
  const [right, left] = extent(tissue[1]);
  if (back - front > MAX_DEPTH_OVER_WIDTH * (left - right)) {
    return [`the body is ${Math.round(back - front)} mm deep and ${Math.round(left - right)} mm wide: the orientation in the header looks wrong`];
  }
  const central = bone[0].filter((_, index) => Math.abs(bone[1][index]! - (right + left) / 2) < MIDLINE_MM);
  const behind = central.filter((y) => y > (front + back) / 2).length;
  if (central.length < MIN_BONE || behind >= MIN_BACK_OVER_FRONT * (central.length - behind)) return [];
  return ['the spine seems to lie in front: the orientation in the header looks wrong'];
}

function extent(places: readonly number[]): [number, number] {
  const sorted = Float64Array.from(places).sort();
  const trim = Math.floor(TRIMMED * sorted.length);
  return sorted.length === 0 ? [0, 0] : [sorted[trim]!, sorted[sorted.length - 1 - trim]!];
}

/** Counts coarse voxels inside the body and those of them that are aerated lung; gives where its tissue and its bone lie. */
function measure(volume: CtVolume): { body: number; lung: number; tissue: Places; bone: Places } {
  const step = volume.spacingMm.map((spacing) => Math.max(1, Math.round(STEP_MM / spacing)));
  const rows = Math.floor((volume.shape[1] - 1) / step[1]!) + 1;
  const columns = Math.floor((volume.shape[2] - 1) / step[2]!) + 1;
  let body = 0;
  let lung = 0;
  const tissue: Places = [[], []];
  const bone: Places = [[], []];
  const [yMm, xMm] = [step[1]! * volume.spacingMm[1], step[2]! * volume.spacingMm[2]];
  for (let d = 0; d < volume.shape[0]; d += step[0]!) {
    const slice = new Float32Array(rows * columns);
    for (let r = 0; r < rows; r++) {
      const row = (d * volume.shape[1] + r * step[1]!) * volume.shape[2];
      for (let c = 0; c < columns; c++) slice[r * columns + c] = volume.hu[row + c * step[2]!]!;
    }
    const outside = outsideBody(slice, rows, columns);
    for (let i = 0; i < slice.length; i++) {
      if (outside[i]) continue;
      body++;
      if (slice[i]! > LUNG_HU[0] && slice[i]! < LUNG_HU[1]) lung++;
      if (slice[i]! <= BODY_ABOVE_HU) continue;
      for (const places of slice[i]! > BONE_HU ? [tissue, bone] : [tissue]) {
        places[0].push(Math.floor(i / columns) * yMm);
        places[1].push((i % columns) * xMm);
      }
    }
  }
  return { body, lung, tissue, bone };
}
