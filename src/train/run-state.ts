/** What a run holds on the GPU, and how it goes into a checkpoint and comes back. */
import type { Engine, Tensor } from '../autograd/index.ts';
import { loadTokenizer, type Tokenizer } from '../data/index.ts';
import { CtLite, FastProjectors, presets, type Module } from '../model/index.ts';
import { STAGES, type StageName, type TrainConfig } from './config.ts';
import { AdamW } from './optimizer.ts';
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from './safetensors.ts';

export const CHECKPOINT_FORMAT = 'ct-lite-checkpoint';
export const CHECKPOINT_VERSION = 1;

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
}

/** @throws where the stage distils a teacher and there is none. */
export function requireTeacher(stage: StageName, hasTeacher: boolean): void {
  if (stage === 'fast' && !hasTeacher) throw new Error('train: stage "fast" needs a teacher; run stage "teacher" first, give --init a checkpoint that has one, or --teacher a CT-CLIP checkpoint');
}

/** The models a stage trains and reads. Made when first needed, each from its own seed. */
export function prepareStage(engine: Engine, state: RunState, stage: StageName): void {
  const { config, tokenizer } = state;
  const preset = presets[config.preset];
  const make = (seed: number): CtLite =>
    new CtLite(engine, preset, { vocabularySize: tokenizer.vocabularySize, seed, head: config.head, logitBias: config.logitBias });
  if (stage === 'teacher') state.teacher ??= make(config.seed);
  requireTeacher(stage, state.teacher !== null || config.teacher !== undefined);
  if (stage !== 'teacher') {
    const fresh = !state.student;
    state.student ??= make(config.seed + 1);
    if (state.teacher && fresh && config.studentFromTeacher) copyParameters(engine, state.teacher, state.student);
    const teacherWidth = config.teacher?.width ?? state.teacher?.vision.width;
    if (teacherWidth) state.projectors ??= new FastProjectors(engine, state.student.vision.width, teacherWidth, config.seed + 2, config.studentFromTeacher);
  }
  state.teacher?.requireGrad(stage === 'teacher');
  state.student?.requireGrad(stage !== 'teacher');
  state.optimizer ??= makeOptimizer(engine, state, stage);
}

function copyParameters(engine: Engine, from: Module, to: Module): void {
  const source = from.namedParameters();
  for (const [name, target] of to.namedParameters()) {
    const tensor = source.get(name);
    if (tensor && tensor.size === target.size) engine.device.copy(tensor.view, target.view);
  }
}

function makeOptimizer(engine: Engine, { config, teacher, student, projectors }: RunState, stage: StageName): AdamW {
  const { learningRate } = config.stages[stage]!;
  const { weightDecay, betas, clip, textFactor, logitFactor } = config.optimizer;
  const model = stage === 'teacher' ? teacher! : student!;
  const factors = new Map([...model.imageHead.learningRateFactors(), ...model.textHead.learningRateFactors()]);
  const named = stage === 'fast' ? [...model.vision.namedParameters('vision')] : [...model.namedParameters()];
  if (projectors && stage !== 'teacher') named.push(...projectors.namedParameters('projectors'));
  const groups = named.map(([name, tensor]) => {
    const isLogit = tensor === model.logScale || tensor === model.logitBias;
    // Norms, biases and gains (rank below 2) are not decayed, as is usual.
    const decay = isLogit || tensor.rank < 2 ? 0 : weightDecay;
    const towerFactor = isLogit ? logitFactor : name.startsWith('text.') && stage === 'align' && teacher ? textFactor : 1;
    return { parameters: [{ name, tensor, learningRateMultiplier: factors.get(tensor) ?? 1 }], learningRate: learningRate * towerFactor, weightDecay: decay };
  });
  return new AdamW(engine, groups, { betas, clip });
}

/** Drops the optimiser at the end of a stage. */
export function endStage(state: RunState): void {
  state.optimizer?.dispose();
  state.optimizer = null;
}

/** Reads all parameters and the optimiser's state back and writes them as one safetensors file. */
export async function encodeCheckpoint(engine: Engine, state: RunState): Promise<Uint8Array> {
  const named = new Map<string, Tensor>();
  const add = (prefix: string, tensors: Iterable<[string, Tensor]>): void => {
    for (const [name, tensor] of tensors) named.set(`${prefix}.${name}`, tensor);
  };
  if (state.teacher) add('teacher', state.teacher.namedParameters());
  if (state.student) add('student', state.student.namedParameters());
  if (state.projectors) add('projectors', state.projectors.namedParameters());
  const tensors: Record<string, SafetensorsTensor> = {};
  await engine.scope(async () => {
    if (state.optimizer) add('optimizer', Object.entries(state.optimizer.state()));
    const values = await Promise.all([...named.values()].map((tensor) => tensor.toArray()));
    [...named].forEach(([name, { shape }], index) => (tensors[name] = { dtype: 'F32', shape: [...shape], data: values[index] as Float32Array<ArrayBuffer> }));
  });
  return encodeSafetensors(tensors, {
    format: CHECKPOINT_FORMAT,
    version: String(CHECKPOINT_VERSION),
    config: JSON.stringify(state.config),
    position: JSON.stringify(state.position),
    optimizerSteps: String(state.optimizer?.stepCount ?? 0),
    vocabulary: state.vocabulary,
  });
}

/**
 * Restores a run from a checkpoint. `learningRate` replaces the peak of every stage. Throws naming the file where it is no
 * checkpoint of this software, of a later version, or has tensors missing, unknown or of another shape; nothing is left on the GPU then.
 */
export function decodeCheckpoint(engine: Engine, bytes: Uint8Array, name: string, { learningRate }: { learningRate?: number } = {}): RunState {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  if (metadata.format !== CHECKPOINT_FORMAT) throw new Error(`${name}: is no CT-Lite checkpoint (its metadata has no format "${CHECKPOINT_FORMAT}"); give a checkpoint.safetensors that ct-lite train wrote`);
  if (Number(metadata.version) > CHECKPOINT_VERSION) throw new Error(`${name}: has checkpoint version ${metadata.version}, this software reads up to ${CHECKPOINT_VERSION}; update ct-lite`);
  const config = parse<TrainConfig>(metadata.config, name, 'config');
  const position = parse<Position>(metadata.position, name, 'position');
  if (!Object.hasOwn(presets, config.preset)) throw new Error(`${name}: names an unknown preset "${config.preset}"`);
  if (!STAGES.includes(position.stage)) throw new Error(`${name}: names an unknown stage "${position.stage}"`);
  if (!config.stages?.[position.stage] || !Number.isSafeInteger(position.step)) throw new Error(`${name}: its position (${metadata.position}) fits no stage of its config; the checkpoint is damaged`);
  if (learningRate !== undefined) for (const stage of Object.values(config.stages)) stage.learningRate = learningRate;
  const vocabulary = metadata.vocabulary ?? '';
  const state: RunState = { config, vocabulary, tokenizer: named(name, () => loadTokenizer({ vocabTxt: vocabulary })), position, teacher: null, student: null, projectors: null, optimizer: null };
  try {
    restore(engine, state, tensors, name);
    if (Object.keys(tensors).some((key) => key.startsWith('optimizer.'))) restoreOptimizer(engine, state, tensors, Number(metadata.optimizerSteps), name);
    return state;
  } catch (error) {
    for (const held of [state.teacher, state.student, state.projectors, state.optimizer]) held?.dispose();
    throw error;
  }
}

/** Makes the models that the checkpoint holds and fills them. */
function restore(engine: Engine, state: RunState, tensors: Record<string, SafetensorsTensor>, file: string): void {
  const { config, tokenizer } = state;
  const has = (prefix: string): boolean => Object.keys(tensors).some((key) => key.startsWith(prefix));
  const make = (): CtLite => new CtLite(engine, presets[config.preset], { vocabularySize: tokenizer.vocabularySize, seed: config.seed, head: config.head, logitBias: config.logitBias });
  if (has('teacher.')) state.teacher = make();
  if (has('student.')) state.student = make();
  if (has('projectors.')) {
    const { width } = presets[config.preset].encoder;
    state.projectors = new FastProjectors(engine, width, config.teacher?.width ?? width, config.seed);
  }
  const targets = new Map([...(state.teacher?.namedParameters('teacher') ?? []), ...(state.student?.namedParameters('student') ?? []), ...(state.projectors?.namedParameters('projectors') ?? [])]);
  if (!targets.size) throw new Error(`${file}: holds no model; the checkpoint is incomplete`);
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
function named<T>(file: string, work: () => T): T {
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
