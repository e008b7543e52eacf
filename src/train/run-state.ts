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

/** The models a stage trains and reads. Made when first needed, each from its own seed. */
export function prepareStage(engine: Engine, state: RunState, stage: StageName): void {
  const { config, tokenizer } = state;
  const preset = presets[config.preset];
  const make = (seed: number): CtLite =>
    new CtLite(engine, preset, { vocabularySize: tokenizer.vocabularySize, seed, head: config.head, logitBias: config.logitBias });
  if (stage === 'teacher') state.teacher ??= make(config.seed);
  if (stage === 'fast' && !state.teacher) throw new Error('train: stage "fast" needs a teacher; run stage "teacher" first or give --init a checkpoint that has one');
  if (stage !== 'teacher') {
    const fresh = !state.student;
    state.student ??= make(config.seed + 1);
    if (state.teacher) {
      if (fresh && config.studentFromTeacher) copyParameters(engine, state.teacher, state.student);
      state.projectors ??= new FastProjectors(engine, state.student.vision.width, state.teacher.vision.width, config.seed + 2);
    }
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
 * Restores a run from a checkpoint. Throws naming the file where it is no checkpoint of this software, of a later version, or
 * has tensors missing, unknown or of another shape.
 */
export function decodeCheckpoint(engine: Engine, bytes: Uint8Array, name: string): RunState {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  if (metadata.format !== CHECKPOINT_FORMAT) throw new Error(`${name}: is no CT-Lite checkpoint (its metadata has no format "${CHECKPOINT_FORMAT}"); give a checkpoint.safetensors that ct-lite train wrote`);
  if (Number(metadata.version) > CHECKPOINT_VERSION) throw new Error(`${name}: has checkpoint version ${metadata.version}, this software reads up to ${CHECKPOINT_VERSION}; update ct-lite`);
  const config = parse<TrainConfig>(metadata.config, name, 'config');
  const position = parse<Position>(metadata.position, name, 'position');
  if (!presets[config.preset]) throw new Error(`${name}: names an unknown preset "${config.preset}"`);
  if (!STAGES.includes(position.stage)) throw new Error(`${name}: names an unknown stage "${position.stage}"`);
  const vocabulary = metadata.vocabulary ?? '';
  const tokenizer = loadTokenizer({ vocabTxt: vocabulary });
  const has = (prefix: string): boolean => Object.keys(tensors).some((key) => key.startsWith(prefix));
  const options = { vocabularySize: tokenizer.vocabularySize, seed: config.seed, head: config.head, logitBias: config.logitBias };
  const state: RunState = { config, vocabulary, tokenizer, position, teacher: null, student: null, projectors: null, optimizer: null };
  if (has('teacher.')) state.teacher = new CtLite(engine, presets[config.preset], options);
  if (has('student.')) state.student = new CtLite(engine, presets[config.preset], options);
  if (has('projectors.')) {
    const { width } = presets[config.preset].encoder;
    state.projectors = new FastProjectors(engine, width, width, config.seed);
  }
  for (const [prefix, model] of [['teacher', state.teacher], ['student', state.student], ['projectors', state.projectors]] as const) {
    if (model) fill(model.namedParameters(prefix), tensors, name);
  }
  if (has('optimizer.')) {
    prepareStage(engine, state, position.stage);
    const entries = Object.entries(tensors).filter(([key]) => key.startsWith('optimizer.'));
    const moments = Object.fromEntries(entries.map(([key, { data }]) => [key.slice('optimizer.'.length), Float32Array.from(data as Float32Array)]));
    state.optimizer!.load(moments, Number(metadata.optimizerSteps));
  }
  return state;
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
    return JSON.parse(text ?? '') as T;
  } catch {
    throw new Error(`${file}: its "${field}" cannot be read; the checkpoint is damaged`);
  }
}
