/** `ct-lite train`: the main job. Without --data it makes the phantom cohort first. */
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { allLabelPrompts, buildVocabulary, loadTokenizer } from '../data/index.ts';
import type { FloatType } from '../autograd/index.ts';
import { HEAD_KINDS, presets, type HeadKind, type PresetName } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { nodeTuningStore } from '../platform/node-tuning-store.ts';
import { createProgress } from '../platform/progress.ts';
import { decodeCheckpoint, evaluateSplit, evaluationScans, findTextTower, globalStepOf, isTunedByDefault, makeConfig, openTextTower, readCheckpointHeader, requirePrecision, requireTeacher, scoreScans, shareSteps, STAGES, TextCache, totalSteps, train, TRAINABLE_PARTS, withTeacher, type Evaluation, type RunState, type StageName, type TeacherTargets, type TextTowerConfig, type TrainablePart, type TrainConfig } from '../train/index.ts';
import { cohortSource, openCohortSession, openNodeEngine, withCohortFlags, type CohortSession, type CohortSource, type OpenedEngine } from './cohort-session.ts';
import { Interrupted, interruptSignal } from './interrupt.ts';
import { byteSize, wholeNumber } from './options.ts';
import { writePhantomCohort } from './phantom-cohort.ts';
import { phantomSizes, refuseContradictions } from './resume-flags.ts';
import { locatePaths } from './resume-paths.ts';
import { findCheckpoint, readRunConfig, removeLeftovers, writeRunConfig, writeRunReport, type RunConfig } from './run-folder.ts';
import { print, say } from './terminal.ts';
import { describeTeacher, openTargets } from './teacher.ts';
import { keepToPlan, planRunMemory } from './train-memory.ts';
import { profileSteps, requireTimestamps } from './train-profile.ts';
import { packageVersion } from './versions.ts';
import { openWeightFile } from './weight-files.ts';

export interface TrainFlags {
  data?: string;
  reports?: string;
  labels?: string;
  columns?: string;
  labelMap?: string;
  vocab?: string;
  textTower?: string;
  freezeText?: boolean;
  textCache?: string;
  preset: PresetName;
  stage: StageName | 'all';
  train?: TrainablePart;
  head?: HeadKind;
  text?: 'report' | 'sentence';
  labelPrompts?: boolean;
  init?: string;
  teacher?: string;
  targets?: string;
  resume?: string;
  out?: string;
  seed: number;
  steps?: number;
  batch?: number;
  virtualBatch?: number;
  memory?: number;
  precision: FloatType;
  quality?: number;
  learningRate?: number;
  adapter?: string;
  tune?: boolean;
  deterministic?: boolean;
  /** A file, or true for the default one. */
  profile?: string | true;
  patients: number;
  validationPatients: number;
}

export function trainCommand(): Command {
  return withCohortFlags(new Command('train'), false)
    .description('train, distil and evaluate CT-Lite; without --data on the phantom cohort, which it draws first')
    .option('--vocab <file>', 'BERT vocab.txt; default: words of the training reports')
    .addOption(new Option('--text-tower <folder>', 'BERT or CXR-BERT from a Hugging Face folder: config.json, vocab.txt or tokenizer.json, model.safetensors or pytorch_model.bin').conflicts(['vocab', 'init']))
    .option('--freeze-text', 'only read with the text tower; what it gives is kept on disk, so that it reads each text once')
    .option('--text-cache <folder>', 'where that is kept; default text-cache beside the run folder')
    .addOption(new Option('--preset <name>', 'size of the model').choices(Object.keys(presets)).default('tiny'))
    .addOption(new Option('--stage <name>', 'one stage alone, or all').choices([...STAGES, 'all']).default('all'))
    .addOption(new Option('--train <part>', 'what of the model is trained, the rest stays as it is: its heads, also the last blocks, or all').choices([...TRAINABLE_PARTS]))
    .addOption(new Option('--head <kind>', 'projection heads: Block Tensor Train (sfp), dense, or others of as many parameters as sfp').choices([...HEAD_KINDS]))
    .addOption(new Option('--text <unit>', 'texts of the contrastive loss').choices(['report', 'sentence']))
    .option('--label-prompts', 'also train on the prompts of the labels (default of preset tiny)')
    .option('--no-label-prompts', 'train on the reports alone')
    .option('--init <checkpoint>', 'start from the models of a checkpoint (a file or a run folder)')
    .option('--teacher <file>', 'distil CT-CLIP (.pt or .safetensors) in place of the teacher stage; its targets are made once and kept')
    .option('--targets <folder>', 'where the targets of --teacher are kept, for runs to share; default targets/ in the run folder')
    .option('--resume <run>', 'go on with an interrupted run in its own folder. Its settings hold: --learning-rate, --adapter, --memory (then planned anew: the same up to rounding) and --profile may differ, any other flag that does is refused')
    .option('--out <folder>', 'run folder; default runs/ and the time')
    .option('--seed <n>', 'the same seed on the same adapter gives the same run, to the bit where it is not tuned', wholeNumber(0, 0x7fffffff), 0)
    .addOption(new Option('--tune', 'measure after the first step of each stage which kernel plans are the fastest here, and keep that for the run and in the cache folder (default of runs of 500 steps and more)').conflicts('deterministic'))
    .option('--deterministic', 'take the fixed kernel plans: the same bits in every run with this seed on this adapter')
    .option('--steps <n>', 'optimiser steps over all stages, shared out at the start of the run', wholeNumber(1))
    .option('--batch <n>', 'volumes at once; with fewer than 4 a step the embeddings are not centred', wholeNumber(1))
    .option('--virtual-batch <n>', 'volumes a step, in parts of --batch: the gradients of all together in the memory of one part; default --batch', wholeNumber(1))
    .option('--memory <size>', 'GPU memory that the run keeps within, for example 2GB, at the price of more work where it must; default 70 % of what there is, as far as that is known', byteSize)
    .addOption(new Option('--precision <type>', 'how activations are stored: f16 takes about half the memory, and needs an adapter with shader-f16').choices(['f32', 'f16']).default('f32'))
    .option('--quality <n>', 'JPEG quality of evaluation', wholeNumber(1, 100))
    .option('--learning-rate <x>', 'peak learning rate of every stage', positiveNumber)
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .option('--profile [file]', 'trace of five steps, after two of warm-up, for ui.perfetto.dev or chrome://tracing, and the dearest kernels; default trace.json in the run folder')
    .option('--patients <n>', 'phantom cohort: training patients', wholeNumber(1), 140)
    .option('--validation-patients <n>', 'phantom cohort: test patients', wholeNumber(0), 60)
    .action(runTrain);
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a positive number.');
  return value;
}

async function runTrain(flags: TrainFlags, command: Command): Promise<void> {
  const started = performance.now();
  const signal = interruptSignal();
  const given = (flag: keyof TrainFlags): boolean => command.getOptionValueSource(flag) === 'cli';
  const { folder, stored } = flags.resume ? { folder: flags.resume, stored: await readRunConfig(flags.resume) } : await newRun(flags, given);
  const config = flags.resume ? locatePaths(stored, flags.resume) : stored;
  if (flags.resume) refuseContradictions(flags, given, config, folder);
  const opened = await openNodeEngine(flags.adapter);
  say(opened.line);
  requirePrecision(opened.engine, config.train.precision ?? 'f32');
  if (flags.profile) requireTimestamps(opened);
  const session = await openCohort(config, flags, signal);
  try {
    const state = await openState(opened, config, flags, session);
    await openTextCache(state, config.textCache ?? join(dirname(folder), 'text-cache'));
    say(`run folder: ${folder}`);
    // A resumed run keeps its plan, so that it computes the same bits; one from before there were plans has none.
    const memory = !flags.resume || flags.memory !== undefined ? await planRunMemory(opened, state, session, { bytes: flags.memory, mayHalve: !flags.resume && !given('precision') }) : stored.memory;
    if (memory) keepToPlan(opened, memory, say);
    config.train = state.config;
    await writeRunConfig(folder, { ...stored, ...(memory && { memory }), train: state.config });
    if (flags.resume) await removeLeftovers(folder);
    const { teacher } = state.config;
    const targets = teacher && config.teacher ? await openTargets({ engine: opened.engine, source: config.teacher, teacher, session, signal, note: say }) : undefined;
    await runStages(opened, state, session, folder, signal, config.tune ?? false, targets, flags.profile === true ? join(folder, 'trace.json') : flags.profile);
    await finish(opened, state, session, folder, config, started);
  } catch (error) {
    throw withWayOn(error, folder);
  } finally {
    await session.pool.close();
    opened.engine.destroy();
  }
}

/** A failed write ends the run but loses nothing: the way on is the same run again. */
function withWayOn(error: unknown, folder: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (!['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EACCES', 'EPERM', 'EIO'].includes(code ?? '')) return error;
  return new Error(`${message}; then go on with: node train.js --resume ${folder}`, { cause: error });
}

async function newRun(flags: TrainFlags, given: (flag: keyof TrainFlags) => boolean): Promise<{ folder: string; stored: RunConfig }> {
  if (!flags.data && (flags.reports || flags.labels)) throw new Error(`train: ${flags.reports ? '--reports' : '--labels'} needs --data, the folder of the scans that it names`);
  for (const flag of ['patients', 'validationPatients'] as const) {
    if (flags.data && given(flag)) throw new Error(`train: --${flag === 'patients' ? 'patients' : 'validation-patients'} is of the phantom cohort, but --data gives ${flags.data}; leave one of them out`);
  }
  const startedAt = new Date().toISOString();
  const folder = flags.out ?? join('runs', startedAt.replace(/\..*$/, '').replaceAll(':', '-'));
  if (await nodeFiles.exists(join(folder, 'config.json'))) throw new Error(`${folder}: holds a run already; go on with it by --resume ${folder}, or choose another --out`);
  if (flags.stage !== 'all') requireTeacher(flags.stage, flags.init !== undefined || flags.teacher !== undefined);
  if (flags.teacher && flags.stage === 'teacher') throw new Error('train: --stage teacher trains a teacher, --teacher takes one; leave one of them out');
  if (flags.targets && !flags.teacher) throw new Error('train: --targets is where --teacher keeps what it computed; give --teacher too');
  if (flags.freezeText && !flags.textTower) throw new Error('--freeze-text: takes a text tower with weights; give --text-tower a Hugging Face folder (a run from --init keeps the tower of its checkpoint as it is)');
  if (flags.textTower) await findTextTower(nodeFiles, flags.textTower);
  // Before the cohort is read, which takes minutes: what is wrong with a path ends the command at once.
  if (flags.vocab) await readVocabulary(flags.vocab);
  const train = await trainConfig(flags);
  const base = flags.init ? (await checkInit(flags.init, train)).config : null;
  if (!flags.data && (base === null || base.phantom)) train.phantom = true;
  const source: CohortSource = flags.data
    ? cohortSource(flags)
    : { data: join('runs', `phantom-seed${flags.seed}-${flags.patients}+${flags.validationPatients}`) };
  const command = ['node train.js', ...process.argv.slice(2).filter((word, at) => !(at === 0 && word === 'train'))].join(' ');
  return {
    folder,
    stored: {
      version: packageVersion('ct-lite') ?? 'unknown', command, startedAt, startedIn: process.cwd(), source, phantom: !flags.data,
      ...(flags.init && { init: flags.init }),
      ...(flags.vocab && { vocab: flags.vocab }),
      ...(flags.textTower && { textTower: { folder: flags.textTower, frozen: flags.freezeText ?? false } }),
      ...(flags.textCache && { textCache: flags.textCache }),
      ...(flags.teacher && { teacher: { file: flags.teacher, targets: flags.targets ?? join(folder, 'targets') } }),
      tune: flags.tune ?? (!flags.deterministic && isTunedByDefault(train)),
      train,
    },
  };
}

async function trainConfig(flags: TrainFlags): Promise<TrainConfig> {
  const preset = makeConfig(flags.preset, flags.seed);
  const config = flags.teacher ? withTeacher(preset, await describeTeacher(flags.teacher, flags.preset)) : preset;
  if (flags.stage !== 'all') config.stages = { [flags.stage]: config.stages[flags.stage]! };
  if (flags.steps !== undefined) config.stages = shareSteps(config.stages, flags.steps);
  if (flags.learningRate !== undefined) for (const stage of Object.values(config.stages)) stage.learningRate = flags.learningRate;
  if (flags.batch !== undefined) config.batch = flags.batch;
  if (flags.virtualBatch !== undefined) {
    if (flags.virtualBatch < config.batch) throw new Error(`--virtual-batch ${flags.virtualBatch}: must be at least the batch, ${config.batch}; give a smaller --batch`);
    config.virtualBatch = flags.virtualBatch;
  }
  if (flags.quality !== undefined) config.quality = flags.quality;
  if (flags.precision === 'f16') config.precision = 'f16';
  if (flags.train) config.trainable = flags.train;
  if (flags.head) config.head = flags.head;
  if (flags.text) config.text.unit = flags.text;
  if (flags.labelPrompts !== undefined) config.text.labelPrompts = flags.labelPrompts;
  return config;
}

async function openCohort(config: RunConfig, flags: TrainFlags, signal: AbortSignal): Promise<CohortSession> {
  if (config.phantom) {
    const { patients, validationPatients } = phantomSizes(config) ?? flags;
    const { volumes } = await writePhantomCohort({ out: config.source.data, patients, validationPatients, seed: config.train.seed, signal });
    say(`phantom cohort: ${volumes} drawn volumes in ${config.source.data} (no patients; for trying the software)`);
  }
  const session = await openCohortSession(config.source, presets[config.train.preset], config.train.seed, say, { signal });
  if (!config.train.text.labelPrompts && session.cohort.scans.every(({ report }) => report === '')) {
    await session.pool.close();
    throw new Error('train: the cohort has no reports; give --reports, or train on the prompts of the labels with --label-prompts');
  }
  const count = (split: string): number => session.cohort.scans.filter((scan) => scan.split === split).length;
  say(`cohort ${session.cohort.name}: ${count('train')} train, ${count('validation')} validation, ${count('test')} test scans`);
  return session;
}

async function openState({ engine }: OpenedEngine, config: RunConfig, flags: TrainFlags, { cohort }: CohortSession): Promise<RunState> {
  const { train: settings } = config;
  const first = STAGES.find((stage) => settings.stages[stage])!;
  if (flags.resume) {
    const file = nodeFiles.join(flags.resume, 'checkpoint.safetensors');
    if (await nodeFiles.exists(file)) {
      const state = decodeCheckpoint(engine, await nodeFiles.readFile(file), file, flags.learningRate === undefined ? {} : { learningRate: flags.learningRate });
      say(`resuming after step ${globalStepOf(state)} of ${totalSteps(state.config)}`);
      return state;
    }
    say('the run has no checkpoint yet; starting from its first step');
    if (flags.learningRate !== undefined) for (const stage of Object.values(settings.stages)) stage.learningRate = flags.learningRate;
  }
  const { init, vocab } = config;
  if (init) {
    const { file } = await checkInit(init, settings);
    const state = decodeCheckpoint(engine, await nodeFiles.readFile(file), file);
    requireTeacher(first, state.teacher !== null || settings.teacher !== undefined);
    state.optimizer?.dispose();
    if (state.config.textTower) useTower(settings, state.config.textTower);
    if (state.config.headRank !== undefined) settings.headRank = state.config.headRank;
    if (settings.teacher) {
      state.teacher?.dispose();
      state.projectors?.dispose();
      Object.assign(state, { teacher: null, projectors: null });
    }
    return { ...state, config: settings, optimizer: null, position: { stage: first, step: 0 } };
  }
  const start = { config: settings, position: { stage: first, step: 0 }, teacher: null, student: null, projectors: null, optimizer: null };
  if (config.textTower) {
    const { folder, frozen } = config.textTower;
    const { bert, tokenizer, config: tower, unused } = await openTextTower(engine, nodeFiles, folder, frozen, openWeightFile);
    say(`text tower ${tower.name}: ${bert.parameterCount} parameters, ${tower.text.layers} layers of ${tower.text.width}, ${frozen ? 'frozen' : 'trained'}${unused.length ? `; left out of its file: ${brief(unused)}` : ''}`);
    useTower(settings, tower);
    return { ...start, vocabulary: tokenizer.vocabTxt, tokenizer, textTower: bert };
  }
  const texts = cohort.scans.filter(({ split }) => split === 'train').map(({ report }) => report);
  const vocabulary = vocab ? await readVocabulary(vocab) : buildVocabulary([...texts, ...allLabelPrompts()], { minCount: 1 });
  return { ...start, vocabulary, tokenizer: loadTokenizer({ vocabTxt: vocabulary }) };
}

/** @throws where the file is no BERT vocabulary, naming it */
async function readVocabulary(path: string): Promise<string> {
  const vocabTxt = new TextDecoder().decode(await nodeFiles.readFile(path));
  try {
    loadTokenizer({ vocabTxt });
  } catch (error) {
    throw new Error(`--vocab ${path}: ${(error as Error).message}`, { cause: error });
  }
  return vocabTxt;
}

/** The checkpoint's file. @throws where its models are not those that the run trains; its header alone is read */
async function checkInit(init: string, settings: TrainConfig): Promise<{ file: string; config: TrainConfig }> {
  const file = await findCheckpoint(init);
  const { config } = readCheckpointHeader((await openWeightFile(file)).metadata, file);
  if (config.preset !== settings.preset) throw new Error(`--init ${file}: has preset ${config.preset}, this run ${settings.preset}; give the same --preset`);
  if (config.head !== settings.head) throw new Error(`--init ${file}: has ${config.head} projection heads, this run ${settings.head}; give the same --head`);
  return { file, config };
}

function useTower(settings: TrainConfig, tower: TextTowerConfig): void {
  settings.textTower = tower;
  settings.text.maxTokens = Math.min(settings.text.maxTokens, tower.text.maxPositions);
}

/** The first few of many names. */
function brief(names: readonly string[]): string {
  const shown = 4;
  return names.length > shown ? `${names.slice(0, shown).join(', ')} and ${names.length - shown} more` : names.join(', ');
}

async function openTextCache(state: RunState, folder: string): Promise<void> {
  const { textTower } = state.config;
  if (!textTower?.frozen) return;
  state.textCache ??= new TextCache(state.textTower!);
  await state.textCache.attach({ files: nodeFiles, folder, weights: textTower.weights });
  if (state.textCache.size) say(`${state.textCache.size} texts that the tower has read are in ${folder}`);
}

async function runStages(opened: OpenedEngine, state: RunState, session: CohortSession, folder: string, signal: AbortSignal, tune: boolean, targets: TeacherTargets | undefined, traceFile: string | undefined): Promise<void> {
  const { cohort, volumes } = session;
  const progress = createProgress({ title: 'training', total: totalSteps(state.config), start: globalStepOf(state) });
  signal.addEventListener('abort', () => progress.note('stopping after this step (Ctrl-C again ends at once)'));
  const profiler = traceFile === undefined ? undefined : profileSteps(opened, session, traceFile, (text) => progress.note(text));
  try {
    const outcome = await train(opened.engine, state, cohort, {
      files: nodeFiles, folder, volumes, ...(targets && { targets }), ...(profiler && { profiler }), ...(tune && { tuning: { store: nodeTuningStore() } }),
      onStep: ({ globalStep, stage, step, losses, volumesPerSecond, gpuBytes }) =>
        progress.update(globalStep, { stage: `${stage} ${step}/${state.config.stages[stage]!.steps}`, loss: losses.loss!, volumesPerSecond, gpuBytes }),
      onNote: (text) => progress.note(text),
      stopRequested: () => signal.aborted,
    });
    await profiler?.end();
    if (outcome === 'interrupted') throw new Interrupted(`interrupted; go on with: node train.js --resume ${folder}`);
  } finally {
    progress.stop();
  }
}

async function finish(opened: OpenedEngine, state: RunState, session: CohortSession, folder: string, config: RunConfig, started: number): Promise<void> {
  const { cohort, volumes } = session;
  const { config: settings } = state;
  const warnings = config.phantom ? ['The scans are phantoms: drawn by this software, not taken of people. The numbers say how the software works, not how well it reads chest CTs.'] : [];
  if (cohort.splitTooSmall) warnings.push('Too few patients to split: the figures below are of the scans that the model was trained on.');
  const { test, validation, where } = evaluationScans(cohort);
  const evaluate = async (model: 'teacher' | 'student'): Promise<Evaluation | null> => {
    if (!state[model] || test.length === 0) return null;
    const options = { engine: opened.engine, model: state[model], tokenizer: state.tokenizer, volumes, shape: presets[settings.preset].grid.shape, batch: settings.batch, quality: model === 'teacher' ? null : settings.quality };
    return evaluateSplit(await scoreScans(validation, options), await scoreScans(test, options), test.map(({ patientId }) => patientId), { seed: settings.seed }, where);
  };
  const baseline = await evaluate('teacher');
  const evaluation = await evaluate('student');
  const seconds = (performance.now() - started) / 1000;
  const parameters = (state.student ?? state.teacher)!.parameterCount;
  if (baseline && !evaluation) warnings.push('There is no student yet: the figures below are of the teacher, on uncompressed input.');
  const report = await writeRunReport({ folder, config, adapter: opened, cohort, volumes, parameters, seconds, evaluation: evaluation ?? baseline, baseline, warnings });
  for (const warning of warnings) say(warning);
  if (baseline) print(`teacher, uncompressed: ${summary(baseline)}`);
  if (evaluation) print(`student, JPEG ${settings.quality}: ${summary(evaluation)}`);
  if (!baseline && !evaluation) print('not evaluated: no labelled scans (give --labels)');
  print(`report: ${report}`);
  print(`done in ${Math.round(seconds)} s`);
}

function summary({ metrics, intervals }: Evaluation): string {
  const { auroc, aurocLabels } = metrics.mean;
  if (auroc === null) return 'mean AUROC not measurable: no label has both classes';
  const { mean } = intervals.measures.auroc;
  return `mean AUROC ${auroc.toFixed(3)}${mean ? ` [${mean.low.toFixed(3)}, ${mean.high.toFixed(3)}] (95 % interval over patients)` : ''} over ${aurocLabels} labels`;
}
