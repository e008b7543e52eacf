/** What a run holds on the GPU, and how it goes into a checkpoint and comes back. */
import type { Engine, FloatType, Tensor } from '../autograd/index.ts';
import { DEFAULT_TOKENIZER_SETTINGS, loadTokenizer, type Tokenizer, type TokenizerSettings } from '../data/index.ts';
import { Bert, BlankInitializer, CtLite, FastProjectors, fullRank, NO_MEASURES, presets, type Module } from '../model/index.ts';
import { STAGES, type StageName, type TrainConfig } from './config.ts';
import { LossScaler, parseLossScale } from './loss-scale.ts';
import { AdamW } from './optimizer.ts';
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from './safetensors.ts';
import { TextCache } from './text-cache.ts';

export const CHECKPOINT_FORMAT = 'ct-lite-checkpoint';
export const CHECKPOINT_VERSION = 1;
/** Read back from the GPU together: each tensor takes a buffer of its own size on its way. */
const bytesAtOnce = 64 * 2 ** 20;
const mostLayers = 1000;
const mostRows = 1_000_000;

/** Where a run is: `step` steps of `stage` are done. */
export interface Position {
  stage: StageName;
  step: number;
}

export interface RunState {
  config: TrainConfig;
  vocabulary: string;
  tokenizer: Tokenizer;
  position: Position;
  teacher: CtLite | null;
  student: CtLite | null;
  projectors: FastProjectors | null;
  /** Of the current stage; null before its first step. */
  optimizer: AdamW | null;
  /** Of a run in f16. */
  lossScale?: LossScaler;
  /** The tower of `config.textTower`. A frozen one stays; one to be trained goes once a model has taken its weights. */
  textTower?: Bert | null;
  /** Reads for the models with a frozen tower, and keeps what it gave; made with the first of them. */
  textCache?: TextCache;
}

/** @throws where the stage distils a teacher and there is none. */
export function requireTeacher(stage: StageName, hasTeacher: boolean): void {
  if (stage === 'fast' && !hasTeacher) throw new Error('train: stage "fast" needs a teacher; run stage "teacher" first, give --init a checkpoint that has one, or --teacher a CT-CLIP checkpoint');
}

/** The models a stage trains and reads. Made when first needed, each from its own seed. */
export function prepareStage(engine: Engine, state: RunState, stage: StageName): void {
  const { config } = state;
  if (stage === 'teacher') state.teacher ??= makeModel(engine, state, 'teacher', config.seed);
  requireTeacher(stage, state.teacher !== null || config.teacher !== undefined);
  if (stage !== 'teacher') {
    const fresh = !state.student;
    state.student ??= makeModel(engine, state, 'student', config.seed + 1);
    if (state.teacher && fresh && config.studentFromTeacher) copyParameters(engine, state.teacher, state.student);
    const teacherWidth = config.teacher?.width ?? state.teacher?.vision.width;
    if (teacherWidth) state.projectors ??= new FastProjectors(engine, state.student.vision.width, teacherWidth, config.seed + 2, config.studentFromTeacher);
  }
  for (const model of [state.teacher, state.student]) model?.setMeasures(config.measures ?? NO_MEASURES);
  state.teacher?.requireGrad(false);
  state.student?.requireGrad(false);
  for (const [, tensor] of trainedParameters(state, stage)) tensor.requiresGrad = true;
  state.optimizer ??= makeOptimizer(engine, state, stage);
}

/**
 * Makes the models store activations as `config.precision` says. Only training does: a checkpoint is evaluated in f32.
 * @throws Error where it is f16 and the adapter has none
 */
export function applyPrecision(engine: Engine, state: RunState): void {
  const { precision = 'f32' } = state.config;
  if (precision === 'f16') {
    requirePrecision(engine, precision);
    state.lossScale ??= new LossScaler(engine);
  } else {
    state.lossScale?.dispose(); // of the run in f16 that this one starts from
    delete state.lossScale;
  }
  for (const model of [state.teacher, state.student]) if (model) model.precision = precision;
}

/** @throws Error where the adapter cannot train in this precision */
export function requirePrecision(engine: Engine, precision: FloatType): void {
  if (precision === 'f32' || engine.device.canF16) return;
  const { description, device, vendor } = engine.device.adapterInfo;
  throw new Error(`train: --precision f16 needs an adapter with the WebGPU feature "shader-f16", which "${description || device || vendor}" does not offer; use --precision f32 in a new run, or another --adapter`);
}

/** A model of the run with new parameters. A pretrained tower that is trained starts from its weights, or from the teacher's tower. */
function makeModel(engine: Engine, state: RunState, role: ModelRole, seed: number): CtLite {
  const { config, teacher, textTower } = state;
  const model = newModel(engine, state, role, seed);
  if (!config.textTower || config.textTower.frozen) return model;
  const pretrained = teacher?.text ?? textTower;
  if (!pretrained) throw new Error(`train: the weights of text tower "${config.textTower.name}" are not at hand; start the run again with --text-tower`);
  copyParameters(engine, pretrained, model.text!);
  textTower?.dispose();
  state.textTower = null;
  return model;
}

type ModelRole = 'teacher' | 'student';

/** A model of the run; with seed null its parameters are undefined, to be filled. */
export function newModel(engine: Engine, state: RunState, role: ModelRole, seed: number | null): CtLite {
  const { config, tokenizer } = state;
  const { headRank, logitBias, textTower: pretrained } = config;
  const head = role === 'teacher' ? (config.teacherHead ?? config.head) : config.head;
  return new CtLite(engine, presets[config.preset], {
    vocabularySize: pretrained?.vocabularySize ?? tokenizer.vocabularySize, seed, head, logitBias,
    ...(headRank !== undefined && { headRank }),
    ...(pretrained && { textConfig: pretrained.text }),
    ...(pretrained?.frozen && { frozenText: (state.textCache ??= new TextCache(state.textTower!)) }),
  });
}

/** Parameters of the model that the stage trains, by name, without the projectors. Throws where `config.trainable` leaves none. */
function trainedParameters({ config, teacher, student }: RunState, stage: StageName): [string, Tensor][] {
  const model = stage === 'teacher' ? teacher! : student!;
  const { trainable = 'all' } = config;
  const isLast = lastBlocks(model);
  const named = stage === 'fast' ? [...model.vision.namedParameters('vision')] : [...model.namedParameters()];
  const trained = named.filter(([name]) => trainable === 'all' || isHead(name) || (trainable === 'last-blocks' && isLast(name)));
  if (!trained.length) throw new Error(`train: stage "${stage}" trains the encoder alone, but trainable is "${trainable}"; train "all" or leave the stage out`);
  return trained;
}

const isHead = (name: string): boolean => /^(imageHead|textHead)\.|^log(Scale|Bias)$/.test(name);

/** The last block of each stack with what follows it: of the encoder's temporal stack its norm and the pooling. */
function lastBlocks({ vision, text }: CtLite): (name: string) => boolean {
  const prefixes = [`vision.spatial.${vision.spatial.length - 1}.`, 'vision.spatialNorm.', `vision.temporal.${vision.temporal.length - 1}.`, 'vision.temporalNorm.', 'vision.pool.'];
  if (text) prefixes.push(`text.layers.${text.layers.length - 1}.`);
  return (name) => prefixes.some((prefix) => name.startsWith(prefix));
}

function copyParameters(engine: Engine, from: Module, to: Module): void {
  const source = from.namedParameters();
  for (const [name, target] of to.namedParameters()) {
    const tensor = source.get(name);
    if (tensor && tensor.size === target.size) engine.device.copy(tensor.view, target.view);
  }
}

function makeOptimizer(engine: Engine, state: RunState, stage: StageName): AdamW {
  const { config, teacher, student, projectors } = state;
  const { learningRate } = config.stages[stage]!;
  const { weightDecay, betas, clip, textFactor, logitFactor } = config.optimizer;
  const model = stage === 'teacher' ? teacher! : student!;
  const factors = new Map([...model.imageHead.learningRateFactors(), ...model.textHead.learningRateFactors()]);
  const named = trainedParameters(state, stage);
  if (projectors && stage !== 'teacher') named.push(...projectors.namedParameters('projectors'));
  const groups = named.map(([name, tensor]) => {
    const isLogit = tensor === model.logScale || tensor === model.logitBias;
    // Norms, biases and gains (rank below 2) are not decayed, as is usual.
    const decay = isLogit || tensor.rank < 2 ? 0 : weightDecay;
    const trainedBefore = config.textTower !== undefined || (stage === 'align' && teacher !== null && config.studentFromTeacher);
    const towerFactor = isLogit ? logitFactor : name.startsWith('text.') && trainedBefore ? textFactor : 1;
    return { parameters: [{ name, tensor, learningRateMultiplier: factors.get(tensor) ?? 1 }], learningRate: learningRate * towerFactor, weightDecay: decay };
  });
  return new AdamW(engine, groups, { betas, clip });
}

/** Drops the optimiser at the end of a stage. */
export function endStage(state: RunState): void {
  state.optimizer?.dispose();
  state.optimizer = null;
}

/** Reads all parameters, the optimiser's state and the loss scale back and writes them as one safetensors file. */
export async function encodeCheckpoint(engine: Engine, state: RunState): Promise<Uint8Array> {
  const named = new Map<string, Tensor>();
  const add = (prefix: string, tensors: Iterable<[string, Tensor]>): void => {
    for (const [name, tensor] of tensors) named.set(`${prefix}.${name}`, tensor);
  };
  if (state.textTower) add('text', state.textTower.namedParameters());
  if (state.teacher) add('teacher', state.teacher.namedParameters());
  if (state.student) add('student', state.student.namedParameters());
  if (state.projectors) add('projectors', state.projectors.namedParameters());
  const tensors: Record<string, SafetensorsTensor> = {};
  await engine.scope(async () => {
    if (state.optimizer) add('optimizer', Object.entries(state.optimizer.state()));
    for (const group of groupsOf([...named], bytesAtOnce)) {
      const values = await Promise.all(group.map(([, tensor]) => tensor.toArray()));
      group.forEach(([name, { shape }], index) => (tensors[name] = { dtype: 'F32', shape: [...shape], data: values[index] as Float32Array<ArrayBuffer> }));
    }
  });
  return encodeSafetensors(tensors, {
    format: CHECKPOINT_FORMAT,
    version: String(CHECKPOINT_VERSION),
    config: JSON.stringify(state.config),
    position: JSON.stringify(state.position),
    optimizerSteps: String(state.optimizer?.stepCount ?? 0),
    ...(state.lossScale && { lossScale: JSON.stringify(await state.lossScale.read()) }),
    vocabulary: state.vocabulary,
    tokenizer: JSON.stringify(state.tokenizer.settings),
  });
}

/** In order, with at most so many bytes together, or one tensor. */
function groupsOf(named: readonly [string, Tensor][], bytes: number): [string, Tensor][][] {
  const groups: [string, Tensor][][] = [];
  let left = 0;
  for (const entry of named) {
    if (entry[1].bytes > left || !groups.length) {
      groups.push([]);
      left = bytes;
    }
    groups.at(-1)!.push(entry);
    left -= entry[1].bytes;
  }
  return groups;
}

/** What a checkpoint says of itself, checked. Throws naming the file where it is none, or of a later version, or damaged. */
export function readCheckpointHeader(metadata: Record<string, string>, name: string): { config: TrainConfig; position: Position } {
  if (metadata.format !== CHECKPOINT_FORMAT) throw new Error(`${name}: is no CT-Lite checkpoint (its metadata has no format "${CHECKPOINT_FORMAT}"); give a checkpoint.safetensors that ct-lite train wrote`);
  if (Number(metadata.version) > CHECKPOINT_VERSION) throw new Error(`${name}: has checkpoint version ${metadata.version}, this software reads up to ${CHECKPOINT_VERSION}; update ct-lite`);
  const config = parse<TrainConfig>(metadata.config, name, 'config');
  const position = parse<Position>(metadata.position, name, 'position');
  if (config.precision !== undefined && config.precision !== 'f32' && config.precision !== 'f16') throw new Error(`${name}: its precision must be f32 or f16, got ${String(config.precision)}; update ct-lite, or the checkpoint is damaged`);
  if (!Object.hasOwn(presets, config.preset)) throw new Error(`${name}: names an unknown preset "${config.preset}"`);
  if (!STAGES.includes(position.stage)) throw new Error(`${name}: names an unknown stage "${position.stage}"`);
  if (!config.stages?.[position.stage] || !Number.isSafeInteger(position.step)) throw new Error(`${name}: its position (${metadata.position}) fits no stage of its config; the checkpoint is damaged`);
  checkSizes(config, name);
  return { config, position };
}

/** No table is made of a size that a foreign or edited header merely claims. */
function checkSizes({ preset, headRank, textTower }: TrainConfig, name: string): void {
  const fail = (rule: string): Error => new Error(`${name}: its config's ${rule}; the checkpoint is damaged`);
  const most = fullRank(presets[preset].head);
  if (headRank !== undefined && !(Number.isSafeInteger(headRank) && headRank >= 1 && headRank <= most)) throw fail(`headRank must be a whole number from 1 to ${most}, got ${headRank}`);
  if (!textTower) return;
  const { width, layers, heads, feedForward, maxPositions, tokenTypes } = textTower.text ?? {};
  for (const [field, value] of Object.entries({ width, layers, heads, feedForward, maxPositions, tokenTypes, vocabularySize: textTower.vocabularySize })) {
    const largest = field === 'layers' ? mostLayers : mostRows;
    if (!(Number.isSafeInteger(value) && value! >= 1 && value! <= largest)) throw fail(`textTower ${field} must be a whole number from 1 to ${largest}, got ${value}`);
  }
}

/**
 * Restores a run from a checkpoint. `learningRate` replaces the peak of every stage. Throws naming the file where it is no
 * checkpoint of this software, of a later version, or has tensors missing, unknown or of another shape; nothing is left on the GPU then.
 */
export function decodeCheckpoint(engine: Engine, bytes: Uint8Array, name: string, { learningRate }: { learningRate?: number } = {}): RunState {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  const { config, position } = readCheckpointHeader(metadata, name);
  if (learningRate !== undefined) for (const stage of Object.values(config.stages)) stage.learningRate = learningRate;
  const vocabulary = metadata.vocabulary ?? '';
  // Before text towers could be read from folders there was one way to split texts.
  const settings = metadata.tokenizer === undefined ? DEFAULT_TOKENIZER_SETTINGS : parse<TokenizerSettings>(metadata.tokenizer, name, 'tokenizer');
  const tokenizer = named(name, () => loadTokenizer({ vocabTxt: vocabulary, settings }));
  const state: RunState = { config, vocabulary, tokenizer, position, teacher: null, student: null, projectors: null, optimizer: null };
  const lossScale = metadata.lossScale === undefined ? null : parseLossScale(metadata.lossScale, name);
  try {
    if (lossScale) state.lossScale = new LossScaler(engine, lossScale);
    restore(engine, state, tensors, name);
    if (Object.keys(tensors).some((key) => key.startsWith('optimizer.'))) restoreOptimizer(engine, state, tensors, Number(metadata.optimizerSteps), name);
    return state;
  } catch (error) {
    disposeState(state);
    throw error;
  }
}

/** Frees all that a run holds on the GPU. */
export function disposeState(state: RunState): void {
  for (const held of [state.teacher, state.student, state.projectors, state.optimizer, state.lossScale, state.textTower]) held?.dispose();
}

/** Makes the models that the checkpoint holds and fills them. */
function restore(engine: Engine, state: RunState, tensors: Record<string, SafetensorsTensor>, file: string): void {
  const { config } = state;
  const has = (prefix: string): boolean => Object.keys(tensors).some((key) => key.startsWith(prefix));
  if (config.textTower?.frozen) state.textTower = new Bert(new BlankInitializer(engine), config.textTower.text, config.textTower.vocabularySize).requireGrad(false);
  if (has('teacher.')) state.teacher = newModel(engine, state, 'teacher', null);
  if (has('student.')) state.student = newModel(engine, state, 'student', null);
  if (has('projectors.')) {
    const { width } = presets[config.preset].encoder;
    state.projectors = new FastProjectors(engine, width, config.teacher?.width ?? width, config.seed);
  }
  if (!state.teacher && !state.student) throw new Error(`${file}: holds no model; the checkpoint is incomplete`);
  const targets = new Map([...(state.textTower?.namedParameters('text') ?? []), ...(state.teacher?.namedParameters('teacher') ?? []), ...(state.student?.namedParameters('student') ?? []), ...(state.projectors?.namedParameters('projectors') ?? [])]);
  const unknown = Object.keys(tensors).find((key) => !targets.has(key) && !key.startsWith('optimizer.'));
  if (unknown !== undefined) throw new Error(`${file}: tensor "${unknown}" belongs to no part of the model; the checkpoint is of another preset or software`);
  fill(targets, tensors, file);
}

function restoreOptimizer(engine: Engine, state: RunState, tensors: Record<string, SafetensorsTensor>, steps: number, file: string): void {
  const entries = Object.entries(tensors).filter(([key]) => key.startsWith('optimizer.'));
  const moments = Object.fromEntries(entries.map(([key, { data }]) => [key.slice('optimizer.'.length), Float32Array.from(data as Float32Array)]));
  named(file, () => {
    prepareStage(engine, state, state.position.stage);
    state.optimizer!.load(moments, steps);
  });
}

/** Puts the file before the message of whatever `work` throws. */
export function named<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}

function fill(targets: Map<string, Tensor>, tensors: Record<string, SafetensorsTensor>, file: string): void {
  for (const [key, target] of targets) {
    const found = tensors[key];
    if (!found) throw new Error(`${file}: tensor "${key}" is missing; the checkpoint is incomplete or of another preset`);
    if (found.dtype !== 'F32' || found.shape.join() !== target.shape.join()) {
      throw new Error(`${file}: tensor "${key}" must be F32 [${target.shape.join(', ')}], got ${found.dtype} [${found.shape.join(', ')}]`);
    }
    target.write(Float32Array.from(found.data as Float32Array));
  }
}

function parse<T>(text: string | undefined, file: string, field: string): T {
  try {
    const value = JSON.parse(text ?? '') as T | null;
    if (typeof value !== 'object' || value === null) throw new Error('no object');
    return value;
  } catch {
    throw new Error(`${file}: its "${field}" cannot be read; the checkpoint is damaged`);
  }
}
