/**
 * FAST on patches of real scans, without labels or reports: the teacher sees patches raw, the student after JPEG, and both are compared
 * on scans that were not trained on. patch-fast-result.ts has the arms and the measures.
 *
 * Patients are left out in turn (folds). A finished fold is a file in the run's folder, so that an interrupted run goes on with the next.
 */
import type { Engine } from '../autograd/index.ts';
import { GREY_VALUES, type FileSystem, type Size3 } from '../data/index.ts';
import { presets, type ConvStemViT, type PresetName } from '../model/index.ts';
import { sha256OfText } from './digest.ts';
import { PATCH_FAST_FORMAT, PATCH_FAST_VERSION, PATCH_MEASURES, type PatchArm, type PatchFastResult, type PatchFastSettings, type PatchFold, type PatchInput } from './patch-fast-result.ts';
import { summarizePatches } from './patch-fast-summary.ts';
import { encodePatches, measurePatches, teacherCentre, viewOfTeacher, type HostView, type PatchModel, type PatchValues, type TeacherCentre } from './patch-measures.ts';
import { compressPatch, joinPatches, makePatchStudent, trainPatchStudent } from './patch-training.ts';
import { permutation } from './sampler.ts';

/** The patches of one scan. */
export interface PatchScan {
  id: string;
  patientId: string;
  /** The scan's own, before resampling. */
  spacingMm: Size3;
  warnings: string[];
  /** [D·Y·X] in [−1, 1] each. */
  patches: Float32Array<ArrayBuffer>[];
}

export interface PatchTeacher {
  vision: ConvStemViT;
  name: string;
  /** SHA-256 of its weights' file. */
  weights: string;
}

export interface PatchFastHost {
  files: FileSystem;
  /** Exists; gets `fold-1.json` … and what the caller makes of the result. */
  folder: string;
  adapter: string;
  /** Steps of training done over all folds and arms, of `patchFastSteps`. */
  onStep: (done: number, fold: string, loss: number) => void;
  onNote: (text: string) => void;
  /** Throws where the user asked to stop. */
  checkStop: () => void;
}

/** A folder of few patients leaves each out in turn; of more, groups. */
const MOST_FOLDS = 5;
const INPUTS: PatchInput[] = [10, 30, 50, 75, 95, '8-bit'];

const FINER: Record<PresetName, PresetName> = { tiny: 'small', 'tiny-fine': 'small', small: 'base', base: 'base' };

/** Spacing of patches [O]: fine enough for JPEG to hurt what a radiologist sees, that of the next larger preset. */
export function patchSpacing(preset: PresetName): Size3 {
  return [...presets[FINER[preset]].grid.spacingMm];
}

/** Defaults of a preset with `changes` on top [O]. */
export function patchFastSettings(preset: PresetName, changes: Partial<PatchFastSettings> = {}): PatchFastSettings {
  return {
    preset, seed: 0, shape: [...presets[preset].grid.shape], spacingMm: patchSpacing(preset), patchesPerScan: 32, steps: 150, batch: 4, learningRate: 3e-4,
    trainQuality: [30, 95], weights: { style: 1, position: 1, channel: 1, feature: 1 }, style: 'attention', styleTau: 1, maskTau: 0.5,
    folds: MOST_FOLDS, inputs: INPUTS, arms: ['compression', 'fast', 'untrained', 'fast-fresh'], ...changes,
  };
}

/** Patients in groups, each to be left out once. @throws Error where there are fewer than two patients */
export function patchFolds(patientIds: readonly string[], folds: number, seed: number): string[][] {
  const patients = [...new Set(patientIds)].sort();
  if (patients.length < 2) throw new Error(`patchFolds: scans of at least two patients are needed, to measure on one that was not trained on, got ${patients.length}; add scans to the folder`);
  const count = Math.min(folds, patients.length);
  const order = patients.length > count ? Array.from(permutation(patients.length, seed, 'folds'), (n) => patients[n]!) : patients;
  return Array.from({ length: count }, (_, fold) => order.filter((_, n) => n % count === fold));
}

/** Steps of training over all folds and arms. */
export function patchFastSteps(settings: PatchFastSettings, folds: number): number {
  return folds * settings.steps * settings.arms.filter(isTrained).length;
}

const isTrained = (arm: PatchArm): boolean => arm === 'fast' || arm === 'fast-fresh';

/** What a fold's file holds. */
interface FoldRecord extends PatchFold {
  /** SHA-256 of settings, teacher and patches: of another run it is refused. */
  run: string;
  /** Scan of each measured patch. */
  scans: string[];
  errorHu: { input: PatchInput; values: number[] }[];
  values: { arm: PatchArm; input: PatchInput; values: PatchValues }[];
}

/** Runs what is not yet in the folder and gives the whole result. `skipped` are scans that the caller left out, for the record. */
export async function runPatchFast(engine: Engine, teacher: PatchTeacher, scans: readonly PatchScan[], settings: PatchFastSettings, host: PatchFastHost, skipped: PatchFastResult['skipped'] = []): Promise<PatchFastResult> {
  const groups = patchFolds(scans.map(({ patientId }) => patientId), settings.folds, settings.seed);
  const described = scans.map(({ patches, ...scan }) => ({ ...scan, patches: patches.length }));
  const run = await sha256OfText(JSON.stringify([settings, teacher.weights, described]));
  const perFold = patchFastSteps(settings, 1);
  const folds: FoldRecord[] = [];
  for (const [index, group] of groups.entries()) {
    const path = host.files.join(host.folder, `fold-${index + 1}.json`);
    const known = await readFold(host.files, path, run);
    if (known) host.onNote(`fold ${index + 1} of ${groups.length} is done already: ${path}`);
    const label = `fold ${index + 1}/${groups.length}`;
    const onStep = (done: number, arm: PatchArm, loss: number): void => host.onStep(index * perFold + done, `${label} ${arm}`, loss);
    const fold = known ?? (await runFold(engine, teacher.vision, scans, new Set(group), settings, { run, fold: index, onStep, checkStop: host.checkStop }));
    if (!known) await host.files.writeFile(path, new TextEncoder().encode(JSON.stringify(fold)));
    folds.push(fold);
  }
  return {
    format: PATCH_FAST_FORMAT, version: PATCH_FAST_VERSION, settings,
    teacher: { name: teacher.name, weights: teacher.weights, parameters: teacher.vision.parameterCount },
    scans: described, skipped,
    folds: folds.map(({ heldOut, trained, patches, loss, seconds }) => ({ heldOut, trained, patches, loss, seconds })),
    errorHu: settings.inputs.map((input) => ({ input, mean: average(folds.flatMap(({ errorHu }) => errorHu.find((each) => each.input === input)!.values)) })),
    ...summarizePatches(joinFolds(folds, scans, settings)),
    adapter: host.adapter,
    seconds: folds.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** @throws Error where the file is of another run, or cannot be read */
async function readFold(files: FileSystem, path: string, run: string): Promise<FoldRecord | null> {
  if (!(await files.exists(path))) return null;
  let record: FoldRecord | null = null;
  try {
    record = JSON.parse(new TextDecoder().decode(await files.readFile(path))) as FoldRecord;
  } catch (cause) {
    throw new Error(`${path}: is not valid JSON; remove it, and the fold is computed again`, { cause });
  }
  if (record?.run !== run) throw new Error(`${path}: is of a run with other settings, another teacher or other scans; choose another --out, or remove it`);
  return record;
}

interface FoldHost {
  run: string;
  fold: number;
  onStep: (done: number, arm: PatchArm, loss: number) => void;
  checkStop: () => void;
}

async function runFold(engine: Engine, teacher: ConvStemViT, scans: readonly PatchScan[], leftOut: ReadonlySet<string>, settings: PatchFastSettings, { run, fold, onStep, checkStop }: FoldHost): Promise<FoldRecord> {
  const started = performance.now();
  const heldOut = scans.filter(({ patientId }) => leftOut.has(patientId));
  const trained = scans.filter(({ patientId }) => !leftOut.has(patientId));
  const patches = trained.flatMap((scan) => scan.patches);
  const seed = settings.seed * 1000 + fold;
  const models = new Map<PatchArm, PatchModel>();
  const loss: PatchFold['loss'] = {};
  let done = 0;
  try {
    for (const arm of settings.arms) {
      const model = arm === 'compression' ? { vision: teacher, projectors: null, comparesPooled: true } : makePatchStudent(engine, settings.preset as PresetName, seed, arm === 'fast' ? teacher : null);
      models.set(arm, model);
      if (!isTrained(arm)) continue;
      const losses = await trainPatchStudent(engine, {
        teacher, model, patches, settings, seed,
        onStep: (_, value) => {
          onStep(++done, arm, value);
          checkStop();
        },
      });
      const tenth = Math.max(1, Math.round(losses.length / 10));
      loss[arm] = { first: average(losses.slice(0, tenth)), last: average(losses.slice(-tenth)) };
    }
    const centre = await measureCentre(engine, teacher, patches, settings);
    const measured = await measureAll(engine, teacher, models, heldOut.flatMap((scan) => scan.patches), centre, settings, checkStop);
    return {
      run, heldOut: heldOut.map(({ id }) => id), trained: trained.map(({ id }) => id), patches: { trained: patches.length, heldOut: measured.errorHu[0]!.values.length },
      loss, seconds: (performance.now() - started) / 1000, scans: heldOut.flatMap((scan) => scan.patches.map(() => scan.id)), ...measured,
    };
  } finally {
    for (const [arm, { vision, projectors }] of models) {
      projectors?.dispose();
      if (arm !== 'compression') vision.dispose();
    }
  }
}

async function measureCentre(engine: Engine, teacher: ConvStemViT, patches: readonly Float32Array<ArrayBuffer>[], { shape, batch }: PatchFastSettings): Promise<TeacherCentre> {
  const views: HostView[] = [];
  for (const group of groupsOf(patches, batch)) views.push(await engine.scope(async () => (await viewOfTeacher(engine, teacher, joinPatches(group), [group.length, 1, ...shape])).host));
  return teacherCentre(views);
}

async function measureAll(engine: Engine, teacher: ConvStemViT, models: ReadonlyMap<PatchArm, PatchModel>, patches: readonly Float32Array<ArrayBuffer>[], centre: TeacherCentre, { shape, batch, inputs }: PatchFastSettings, checkStop: () => void): Promise<Pick<FoldRecord, 'values' | 'errorHu'>> {
  const values = [...models.keys()].flatMap((arm) => inputs.map((input) => ({ arm, input, values: emptyValues() })));
  const errorHu = inputs.map((input) => ({ input, values: [] as number[] }));
  for (const group of groupsOf(patches, batch)) {
    checkStop();
    const dims = [group.length, 1, ...shape];
    await engine.scope(async () => {
      const view = await viewOfTeacher(engine, teacher, joinPatches(group), dims);
      for (const input of inputs) {
        const grey = await Promise.all(group.map((patch) => compressPatch(patch, shape, input)));
        errorHu.find((each) => each.input === input)!.values.push(...group.map((patch, row) => rootMeanSquare(patch, grey[row]!)));
        for (const [arm, model] of models) {
          const found = await engine.scope(() => measurePatches(view, encodePatches(engine, model.vision, joinPatches(grey), dims), model, centre));
          const into = values.find((each) => each.arm === arm && each.input === input)!.values;
          for (const measure of PATCH_MEASURES) into[measure].push(...found[measure]);
        }
      }
    });
  }
  return { values, errorHu };
}

const emptyValues = (): PatchValues => Object.fromEntries(PATCH_MEASURES.map((measure) => [measure, []])) as unknown as PatchValues;

function groupsOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, group) => items.slice(group * size, (group + 1) * size));
}

/** Difference of a patch and its grey levels, in HU. */
function rootMeanSquare(values: Float32Array, grey: Uint8Array): number {
  let squares = 0;
  for (let at = 0; at < values.length; at++) squares += (values[at]! - GREY_VALUES[grey[at]!]!) ** 2;
  return 1000 * Math.sqrt(squares / values.length);
}

function joinFolds(folds: readonly FoldRecord[], scans: readonly PatchScan[], { arms, inputs, seed }: PatchFastSettings): Parameters<typeof summarizePatches>[0] {
  const patientOf = new Map(scans.map(({ id, patientId }) => [id, patientId]));
  const names = folds.flatMap((fold) => fold.scans);
  const all = (arm: PatchArm, input: PatchInput): PatchValues => {
    const joined = emptyValues();
    for (const fold of folds) {
      const { values } = fold.values.find((each) => each.arm === arm && each.input === input)!;
      for (const measure of PATCH_MEASURES) joined[measure].push(...values[measure]);
    }
    return joined;
  };
  return {
    scans: names, patients: names.map((id) => patientOf.get(id)!), folds: folds.flatMap((fold, index) => fold.scans.map(() => index)), foldCount: folds.length,
    values: new Map(arms.map((arm) => [arm, new Map(inputs.map((input) => [input, all(arm, input)]))])), seed,
  };
}
