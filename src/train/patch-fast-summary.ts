/** From the values of single patches to means, spreads and intervals. */
import { drawPatients, percentileInterval } from './bootstrap.ts';
import type { PatchArm, PatchCell, PatchDifference, PatchInput, PatchMeasure, PatchStatistic, PatchStatistics } from './patch-fast-result.ts';
import { PATCH_MEASURES } from './patch-fast-result.ts';
import type { PatchValues } from './patch-measures.ts';

/** From this many measured patients on the bootstrap draws patients; of fewer their resamples would say nothing [O]. */
export const LEAST_PATIENTS_TO_DRAW = 10;
const RESAMPLES = 1000;

/** The measured patches of all folds, one after another. */
export interface MeasuredPatches {
  /** Of each patch. */
  scans: string[];
  patients: string[];
  folds: number[];
  /** Number of folds. */
  foldCount: number;
  /** By arm and input, one value a patch. */
  values: Map<PatchArm, Map<PatchInput, PatchValues>>;
  seed: number;
}

export interface PatchSummary {
  arms: { arm: PatchArm; cells: PatchCell[] }[];
  differences: PatchDifference[];
  resampled: 'patients' | 'patches';
}

export function summarizePatches(measured: MeasuredPatches): PatchSummary {
  const resampled = new Set(measured.patients).size >= LEAST_PATIENTS_TO_DRAW ? 'patients' : 'patches';
  const weights = [...drawWeights(measured, resampled)];
  const cellsOf = (arm: PatchArm, less: PatchArm | null): PatchCell[] =>
    [...measured.values.get(arm)!].map(([input, values]) => {
      const other = less && measured.values.get(less)!.get(input)!;
      const measures = Object.fromEntries(PATCH_MEASURES.map((measure) => [measure, statistic(difference(values, other, measure), measured, weights)])) as PatchStatistics;
      return { input, patches: measured.scans.length, measures };
    });
  const arms = [...measured.values.keys()];
  return {
    arms: arms.map((arm) => ({ arm, cells: cellsOf(arm, null) })),
    differences: arms.includes('compression') ? arms.filter((arm) => arm !== 'compression').map((arm) => ({ arm, cells: cellsOf(arm, 'compression') })) : [],
    resampled,
  };
}

function difference(values: PatchValues, other: PatchValues | null, measure: PatchMeasure): (number | null)[] {
  if (!other) return values[measure];
  return values[measure].map((value, patch) => (value === null || other[measure][patch] === null ? null : value - other[measure][patch]!));
}

function statistic(values: readonly (number | null)[], { folds, foldCount }: MeasuredPatches, weights: readonly Uint32Array[]): PatchStatistic | null {
  const known = values.map((value, patch) => ({ value, patch })).filter((each): each is { value: number; patch: number } => each.value !== null);
  if (!known.length) return null;
  const average = (of: readonly { value: number; patch: number }[], weight: (patch: number) => number): number | null => {
    const total = of.reduce((sum, { patch }) => sum + weight(patch), 0);
    return total === 0 ? null : of.reduce((sum, { value, patch }) => sum + weight(patch) * value, 0) / total;
  };
  const mean = average(known, () => 1)!;
  const resamples = weights.map((drawn) => average(known, (patch) => drawn[patch]!)).filter((value) => value !== null);
  const interval = percentileInterval(resamples, weights.length);
  return {
    mean,
    deviation: known.length > 1 ? Math.sqrt(known.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / (known.length - 1)) : 0,
    folds: Array.from({ length: foldCount }, (_, fold) => average(known, (patch) => Number(folds[patch] === fold))),
    interval: interval && { low: interval.low, high: interval.high },
  };
}

/** How often each patch is in each resample. */
function* drawWeights({ scans, patients, seed }: MeasuredPatches, resampled: 'patients' | 'patches'): Generator<Uint32Array> {
  if (resampled === 'patients') {
    const { draws, patientOf } = drawPatients(patients, { seed, resamples: RESAMPLES });
    for (const drawn of draws) yield patientOf.map((patient) => drawn[patient]!);
    return;
  }
  // Within each scan, so that every scan counts in every resample as much as in the mean.
  const groups = [...new Set(scans)].map((scan, group) => {
    const members = scans.flatMap((name, patch) => (name === scan ? [patch] : []));
    return { members, draws: drawPatients(members.map(String), { seed: seed * 1000 + group, resamples: RESAMPLES }).draws };
  });
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const weights = new Uint32Array(scans.length);
    for (const { members, draws } of groups) {
      const next = draws.next();
      // A scan of one patch has nothing to draw from.
      members.forEach((patch, n) => (weights[patch] = next.done ? 1 : next.value[n]!));
    }
    yield weights;
  }
}
