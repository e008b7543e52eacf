/** `ct-lite experiment-scans`: what FAST gives back on patches of real scans that were not trained on; needs no labels and no reports. */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { chestConcerns, initJpegCodec, openCohort, type CohortScan, type DecodedScan } from '../data/index.ts';
import { presets } from '../model/index.ts';
import type { DecodePool } from '../platform/node-decode-pool.ts';
import { openDecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles, sha256OfFile } from '../platform/node-files.ts';
import { nodeJpegWasm } from '../platform/node-jpeg.ts';
import { createProgress } from '../platform/progress.ts';
import { cutPatches, decodeCheckpoint, disposeState, PATCH_ARMS, patchFastSettings, patchFastSteps, patchFolds, patchInputName, readCheckpointHeader, runPatchFast, type PatchArm, type PatchFastResult, type PatchFastSettings, type PatchScan } from '../train/index.ts';
import { decodeJob, openNodeEngine, type OpenedEngine } from './cohort-session.ts';
import { Interrupted, interruptSignal } from './interrupt.ts';
import { wholeNumber } from './options.ts';
import { findCheckpoint } from './run-folder.ts';
import { print, say } from './terminal.ts';
import { trainCommand } from './train.ts';
import { openWeightFile } from './weight-files.ts';

const RESULT_FILE = 'patch-fast.json';

interface ExperimentScansFlags {
  data: string;
  teacher?: string;
  out: string;
  seed: number;
  steps?: number;
  batch?: number;
  patches?: number;
  learningRate?: number;
  spacing?: [number, number, number];
  style?: PatchFastSettings['style'];
  weights?: [number, number, number, number];
  arms?: PatchArm[];
  adapter?: string;
}

export function experimentScansCommand(): Command {
  return new Command('experiment-scans')
    .description('train students by FAST on JPEG patches of scans, without labels or reports, and compare them with their teacher on scans that were not trained on; run again to go on')
    .requiredOption('--data <folder>', 'scans of at least two patients (.nii.gz, .nii, .npz, DICOM, JPEG volumes), anywhere below it')
    .option('--teacher <checkpoint>', 'a checkpoint of ct-lite train: its teacher, or its student where it has none; without it, one is trained on phantoms first')
    .option('--out <folder>', 'folder of the result', join('runs', 'experiment-scans'))
    .option('--seed <n>', 'the same seed on the same adapter gives the same result', wholeNumber(0, 0x7fffffff), 0)
    .option('--steps <n>', 'training steps a student', wholeNumber(1))
    .option('--batch <n>', 'patches a step', wholeNumber(1))
    .option('--patches <n>', 'patches a scan, at most', wholeNumber(1))
    .option('--learning-rate <x>', 'peak learning rate', positive)
    .option('--spacing <z,y,x>', 'spacing of the patches in mm', numbers(3, Number.MIN_VALUE))
    .addOption(new Option('--style <kind>', "Gram matrices weighted by attention, or Gatys'").choices(['attention', 'gatys']))
    .option('--weights <s,p,c,f>', "λ of FAST's style, position, channel and feature terms", numbers(4, 0))
    .option('--arms <names>', `what is trained and measured, with commas between: ${PATCH_ARMS.join(', ')}; default all`, armNames)
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .action(runExperimentScans);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a positive number.');
  return value;
}

function armNames(text: string): PatchArm[] {
  const names = text.split(',').map((name) => name.trim());
  if (!names.every((name): name is PatchArm => (PATCH_ARMS as readonly string[]).includes(name))) throw new InvalidArgumentError(`It must be some of ${PATCH_ARMS.join(', ')}.`);
  return PATCH_ARMS.filter((arm) => names.includes(arm));
}

function numbers(count: number, least: number): (text: string) => number[] {
  return (text) => {
    const values = text.split(',').map(Number);
    if (values.length !== count || !values.every((value) => Number.isFinite(value) && value >= least)) throw new InvalidArgumentError(`It must be ${count} ${least > 0 ? 'positive numbers' : 'numbers of at least 0'} with commas between.`);
    return values;
  };
}

async function runExperimentScans(flags: ExperimentScansFlags): Promise<void> {
  const signal = interruptSignal();
  const teacher = await findCheckpoint(flags.teacher ?? (await phantomTeacher(flags)));
  const opened = await openNodeEngine(flags.adapter);
  say(opened.line);
  try {
    const { seed, steps, batch, patches, learningRate, spacing, style, weights, arms } = flags;
    const result = await experimentOnScans(opened, {
      data: flags.data, teacher, out: flags.out, signal,
      settings: {
        seed, ...(steps && { steps }), ...(batch && { batch }), ...(patches && { patchesPerScan: patches }), ...(learningRate && { learningRate }), ...(spacing && { spacingMm: spacing }), ...(style && { style }), ...(arms && { arms }),
        ...(weights && { weights: { style: weights[0], position: weights[1], channel: weights[2], feature: weights[3] } }),
      },
    });
    for (const line of resultLines(result)) print(line);
    print(join(flags.out, RESULT_FILE));
  } finally {
    opened.engine.destroy();
  }
}

/** The teacher stage of `ct-lite train` on the phantom cohort: resumed where it was begun, taken as it is where it is done. */
async function phantomTeacher({ out, seed, adapter }: ExperimentScansFlags): Promise<string> {
  const folder = join(out, 'teacher');
  const more = adapter === undefined ? [] : ['--adapter', adapter];
  const begun = await nodeFiles.exists(join(folder, 'config.json'));
  if (await nodeFiles.exists(join(folder, 'report.html'))) return folder;
  say(`no --teacher: training one on phantoms, ${folder}`);
  await trainCommand().exitOverride().parseAsync(begun ? ['--resume', folder, ...more] : ['--stage', 'teacher', '--seed', String(seed), '--out', folder, ...more], { from: 'user' });
  return folder;
}

export interface ScanExperimentOptions {
  /** Folder with scans. */
  data: string;
  /** A checkpoint file: its teacher is taken, or its student where it has none. */
  teacher: string;
  /** Folder of the folds and of patch-fast.json. */
  out: string;
  /** What differs from `patchFastSettings`. */
  settings: Partial<PatchFastSettings>;
  signal: AbortSignal;
}

/** Reads the scans, runs what is left of the experiment and writes patch-fast.json. @throws Interrupted where the user asked to stop */
export async function experimentOnScans({ engine, line }: OpenedEngine, { data, teacher: file, out, settings: changes, signal }: ScanExperimentOptions): Promise<PatchFastResult> {
  const checkStop = (): void => {
    if (signal.aborted) throw new Interrupted(`interrupted; finished folds are in ${out}, the same command goes on`);
  };
  const { config } = readCheckpointHeader((await openWeightFile(file)).metadata, file);
  const settings = patchFastSettings(config.preset, changes);
  await nodeFiles.makeDirectory(out);
  const { scans, skipped } = await readPatchScans(data, settings, checkStop);
  const folds = patchFolds(scans.map(({ patientId }) => patientId), settings.folds, settings.seed);
  const state = decodeCheckpoint(engine, await nodeFiles.readFile(file), file);
  const progress = createProgress({ title: 'FAST on patches', total: patchFastSteps(settings, folds.length) });
  try {
    // A baseline of an experiment is a student on uncompressed input, without a teacher of its own.
    const { vision } = (state.teacher ?? state.student)!.requireGrad(false);
    const name = `${file.split(/[\\/]/).slice(-2).join('/')} (${state.teacher ? 'teacher' : 'student'}, preset ${config.preset})`;
    const result = await runPatchFast(engine, { vision, name, weights: await sha256OfFile(file) }, scans, settings, {
      files: nodeFiles, folder: out, adapter: line, checkStop,
      onStep: (done, stage, loss) => progress.update(done, { stage, loss }),
      onNote: (text) => progress.note(text),
    }, skipped);
    await nodeFiles.writeFile(join(out, RESULT_FILE), new TextEncoder().encode(`${JSON.stringify(result, rounded, 1)}\n`));
    return result;
  } finally {
    progress.stop();
    disposeState(state);
  }
}

/** Seven digits are more than the numbers are good for, and half the file. */
const rounded = (_: string, value: unknown): unknown => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(7)) : value);

/** Patches of every scan that is a chest; of the others the reason. */
async function readPatchScans(data: string, settings: PatchFastSettings, checkStop: () => void): Promise<{ scans: PatchScan[]; skipped: PatchFastResult['skipped'] }> {
  initJpegCodec(nodeJpegWasm);
  const cohort = await openCohort(nodeFiles, { data, seed: settings.seed, withoutTables: true });
  const pool = openDecodePool();
  const scans: PatchScan[] = [];
  const skipped: PatchFastResult['skipped'] = [];
  try {
    for (const scan of cohort.scans) {
      checkStop();
      const read = await readPatchScan(pool, scan, settings).catch((error: Error) => error.message);
      if (typeof read === 'string') {
        skipped.push({ id: scan.id, reason: read });
        say(`left out ${scan.id}: ${read}`);
      } else {
        scans.push(read);
        say(`${scan.id}: ${read.patches.length} patches${read.warnings.length ? ` (${read.warnings.join('; ')})` : ''}`);
      }
    }
  } finally {
    await pool.close();
  }
  return { scans, skipped };
}

/** @returns a reason in place of patches where the scan is no chest */
async function readPatchScan(pool: DecodePool, scan: CohortScan, { preset, shape, spacingMm, patchesPerScan, seed }: PatchFastSettings): Promise<PatchScan | string> {
  const grid = { shape, spacingMm };
  const decoded: DecodedScan = await pool.decode({ ...decodeJob(scan), grid: presets[preset as keyof typeof presets].grid, keepVolume: true });
  const volume = decoded.volume!;
  const concerns = chestConcerns(volume);
  // A part of a chest has little lung in it, but it is one: its share of lung says nothing then [O].
  const cropped = concerns.some(({ about }) => about === 'field');
  const foreign = concerns.find(({ about }) => about === 'body' || (about === 'lung' && !cropped));
  if (foreign) return foreign.text;
  const patches = cutPatches(volume, { grid, count: patchesPerScan, seed, stream: scan.id });
  return { id: scan.id, patientId: scan.patientId, spacingMm: [...volume.spacingMm], warnings: concerns.map(({ text }) => text), patches: patches.map(({ values }) => values) };
}

/** A table for people: the measures of the issue, with and without FAST. */
function resultLines({ arms, differences, folds, resampled }: PatchFastResult): string[] {
  const lines = [`${folds.length} folds; 95 % intervals over ${resampled} of the difference to compression alone`];
  const alone = arms.find(({ arm }) => arm === 'compression');
  for (const { arm, cells } of differences) {
    for (const { input, measures } of cells) {
      const texts = (['featureCosine', 'centredCosine', 'gram'] as const).map((measure) => {
        const own = arms.find((each) => each.arm === arm)!.cells.find((cell) => cell.input === input)!.measures[measure]!;
        const without = alone!.cells.find((cell) => cell.input === input)!.measures[measure]!;
        const { interval } = measures[measure]!;
        return `${measure} ${without.mean.toPrecision(4)} → ${own.mean.toPrecision(4)}${interval ? ` [${interval.low.toPrecision(2)}, ${interval.high.toPrecision(2)}]` : ''}`;
      });
      lines.push(`${arm.padEnd(10)} ${patchInputName(input).padEnd(14)} ${texts.join('  ')}`);
    }
  }
  return lines;
}
