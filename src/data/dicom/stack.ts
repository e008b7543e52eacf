/**
 * Slices of one series to a stack: sorted by where they lie and not by their numbers, each position once, evenly spaced, and
 * nothing missing that a finding could hide in. What cannot be made so is refused.
 */
import type { Matrix3 } from '../orientation.ts';
import type { Size3 } from '../volume.ts';
import { normalOf } from './series.ts';
import { dot } from './slice.ts';
import type { DicomSlice } from './slice.ts';

export interface Stack {
  /** In rising order along the normal; null where a missing slice is to be filled from its neighbours. */
  slots: (DicomSlice | null)[];
  /** mm between slots. */
  spacing: number;
  /** Voxel (column, row, slot) to RAS mm, 3×3. */
  affine: Matrix3;
}

/** Whether two slices at one place show the same. */
export type SameContent = (a: DicomSlice, b: DicomSlice) => Promise<boolean>;

/** Positions are written with a few decimals: nearer than this is the same place. */
const SAME_PLACE_MM = 0.01;
/** Largest deviation from even spacing: rounding of positions to 0.1 mm, and a tenth of thick slices. */
const UNEVEN_MM = 0.11;
const UNEVEN_FRACTION = 0.1;
/** Sideways drift of a stack that is no rounding any more: the gantry was tilted. */
const MAX_DRIFT_MM = 1;
/** A gap between neighbours wider than this may hide a nodule of a centimetre: it is not filled. */
const MAX_FILLED_GAP_MM = 10;
const MAX_FILLED_FRACTION = 0.05;
/** A part of a series with another geometry that is larger than this is no stray scout. */
const MAX_STRAY_FRACTION = 0.2;
const DIRECTION_STEP = 100;

/** @throws `where: …` where the slices form no single even stack at right angles. */
export async function stackSlices(slices: readonly DicomSlice[], where: string, same: SameContent, warnings: string[]): Promise<Stack> {
  const alike = onePlane(slices, where, warnings);
  const normal = normalOf(alike[0]!);
  const along = (slice: DicomSlice): number => dot(slice.position, normal);
  const ordered = await onePerPlace(withoutCopies(alike, warnings).sort((a, b) => along(a) - along(b)), along, where, same, warnings);
  const places = ordered.map(along);
  requireStraight(ordered, places, normal, where);
  const { spacing, steps } = spacingOf(ordered, places, where, warnings);
  const slots: (DicomSlice | null)[] = [];
  ordered.forEach((slice, index) => {
    if (index > 0) for (let missing = 1; missing < steps[index - 1]!; missing++) slots.push(null);
    slots.push(slice);
  });
  return { slots, spacing, affine: affineOf(ordered[0]!, normal, spacing) };
}

/** A slice's file, in a message that begins with `where` already. */
const fileOf = (slice: DicomSlice, where: string): string => slice.where.slice(where.length + 2);

/** The largest set of slices of one size, spacing and orientation; a few others (scouts without a name) are left out. */
function onePlane(slices: readonly DicomSlice[], where: string, warnings: string[]): DicomSlice[] {
  const round = (value: number): number => Math.round(value * DIRECTION_STEP);
  const planes = new Map<string, DicomSlice[]>();
  for (const slice of slices) {
    const key = [slice.rows, slice.columns, ...slice.pixelSpacing.map(round), ...slice.rowDirection.map(round), ...slice.columnDirection.map(round)].map((value) => value + 0).join(' ');
    planes.set(key, [...(planes.get(key) ?? []), slice]);
  }
  const [largest, ...rest] = [...planes.values()].sort((a, b) => b.length - a.length);
  const strays = rest.reduce((sum, plane) => sum + plane.length, 0);
  if (strays > MAX_STRAY_FRACTION * slices.length) {
    throw new Error(`${where}: the slices of a series must share size, spacing and orientation, ${largest!.length} of ${slices.length} do; export one reconstruction at a time`);
  }
  if (strays > 0) warnings.push(`${strays} ${strays === 1 ? 'image' : 'images'} of another size, spacing or orientation left out (${fileOf(rest[0]![0]!, where)})`);
  return largest!;
}

/** The same image twice: exports into one folder overlap. */
function withoutCopies(slices: readonly DicomSlice[], warnings: string[]): DicomSlice[] {
  const seen = new Map<string, DicomSlice>();
  const kept = slices.filter((slice) => {
    const key = `${slice.sopUid} ${slice.frame}`;
    const known = slice.sopUid !== '' && seen.get(key);
    if (known && known.position.every((value, axis) => value === slice.position[axis])) return false;
    seen.set(key, slice);
    return true;
  });
  if (kept.length < slices.length) warnings.push(`${slices.length - kept.length} ${slices.length - kept.length === 1 ? 'slice is' : 'slices are'} there twice; the copies are left out`);
  return kept;
}

async function onePerPlace(ordered: DicomSlice[], along: (slice: DicomSlice) => number, where: string, same: SameContent, warnings: string[]): Promise<DicomSlice[]> {
  if (!hasRepeats(ordered, along)) return ordered;
  const passes = new Map<string, DicomSlice[]>();
  for (const slice of ordered) passes.set(slice.pass, [...(passes.get(slice.pass) ?? []), slice]);
  if (passes.size > 1 && [...passes.values()].every((pass) => !hasRepeats(pass, along))) {
    const [largest] = [...passes.values()].sort((a, b) => b.length - a.length);
    warnings.push(`the series holds ${passes.size} passes over the same places (acquisitions or phases); the ${passes.size === 2 ? 'larger' : 'largest'} is taken, ${largest!.length} of ${ordered.length} slices`);
    return largest!;
  }
  const kept: DicomSlice[] = [];
  for (const slice of ordered) {
    const before = kept[kept.length - 1];
    if (!before || along(slice) - along(before) > SAME_PLACE_MM) kept.push(slice);
    else if (!(await same(before, slice))) {
      throw new Error(`${where}: two different slices lie at the same place (${fileOf(before, where)} and ${fileOf(slice, where)}); export one phase or reconstruction at a time`);
    }
  }
  const copies = ordered.length - kept.length;
  warnings.push(`${copies} ${copies === 1 ? 'slice is' : 'slices are'} there twice under different names; the copies are left out`);
  return kept;
}

function hasRepeats(ordered: readonly DicomSlice[], along: (slice: DicomSlice) => number): boolean {
  return ordered.some((slice, index) => index > 0 && along(slice) - along(ordered[index - 1]!) <= SAME_PLACE_MM);
}

/** Each slice must lie straight above the one before. */
function requireStraight(ordered: readonly DicomSlice[], places: readonly number[], normal: Size3, where: string): void {
  const origin = ordered[0]!.position;
  const drifts = ordered.map(({ position }, index) => Math.hypot(...position.map((value, axis) => value - origin[axis]! - normal[axis]! * (places[index]! - places[0]!))));
  const drift = Math.max(...drifts);
  if (drift <= MAX_DRIFT_MM) return;
  const last = drifts.length - 1;
  const even = drifts.every((value, index) => Math.abs(value - (drifts[last]! * (places[index]! - places[0]!)) / (places[last]! - places[0]!)) <= MAX_DRIFT_MM);
  if (!even) throw new Error(`${where}: the slices do not lie above each other (up to ${drift.toFixed(1)} mm sideways); export one reconstruction at a time`);
  const degrees = (Math.atan2(drifts[last]!, places[last]! - places[0]!) * 180) / Math.PI;
  throw new Error(`${where}: the gantry was tilted by ${degrees.toFixed(1)} degrees, which shears the volume; export a straight reconstruction, or convert the series with a tool that corrects the tilt`);
}

/** The usual distance, and for each pair of neighbours how many of it lie between them. */
function spacingOf(ordered: readonly DicomSlice[], places: readonly number[], where: string, warnings: string[]): { spacing: number; steps: number[] } {
  const [only] = ordered;
  if (ordered.length === 1) {
    const spacing = [only!.spacingBetween, only!.thickness].find((size) => size !== null && size > 0);
    if (!spacing) throw new Error(`${where}: a single slice needs SliceThickness; give the whole series`);
    warnings.push(`a single slice of ${spacing} mm, not a series: one slice is no chest`);
    return { spacing, steps: [] };
  }
  const distances = places.slice(1).map((place, index) => place - places[index]!);
  const usual = [...distances].sort((a, b) => a - b)[distances.length >> 1]!;
  const tolerance = Math.max(UNEVEN_MM, UNEVEN_FRACTION * usual);
  const steps = distances.map((distance) => Math.max(1, Math.round(distance / usual)));
  const uneven = distances.findIndex((distance, index) => Math.abs(distance - steps[index]! * usual) > tolerance);
  if (uneven >= 0) {
    throw new Error(`${where}: the slices must be evenly spaced, got ${distances[uneven]!.toFixed(2)} mm among ${usual.toFixed(2)} mm (after ${fileOf(ordered[uneven]!, where)}); export one reconstruction at a time, or copy the missing slices`);
  }
  const slots = steps.reduce((sum, step) => sum + step, 0);
  checkGaps(ordered, distances, steps, slots + 1, where, warnings);
  return { spacing: (places[places.length - 1]! - places[0]!) / slots, steps };
}

function checkGaps(ordered: readonly DicomSlice[], distances: readonly number[], steps: readonly number[], slots: number, where: string, warnings: string[]): void {
  const gaps = steps.flatMap((step, index) => (step > 1 ? [index] : []));
  if (gaps.length === 0) return;
  const missing = slots - ordered.length;
  const names = gaps.slice(0, 5).map((index) => `${distances[index]!.toFixed(1)} mm after ${fileOf(ordered[index]!, where)}`).join('; ');
  const found = `${missing} of ${slots} slices ${missing === 1 ? 'is' : 'are'} missing (${names}${gaps.length > 5 ? '; …' : ''})`;
  const few = missing <= Math.max(1, MAX_FILLED_FRACTION * slots);
  if (!few || gaps.some((index) => distances[index]! > MAX_FILLED_GAP_MM)) {
    throw new Error(`${where}: ${found}: a finding may lie there; copy or export the whole series again`);
  }
  warnings.push(`${found}; filled with the mean of their neighbours`);
}

/** DICOM's LPS to NIfTI's RAS: x and y change sign. */
function affineOf({ rowDirection, columnDirection, pixelSpacing: [betweenRows, betweenColumns] }: DicomSlice, normal: Size3, spacing: number): Matrix3 {
  return [-1, -1, 1].map((sign, world) => [
    sign * rowDirection[world]! * betweenColumns,
    sign * columnDirection[world]! * betweenRows,
    sign * normal[world]! * spacing,
  ]) as Matrix3;
}
