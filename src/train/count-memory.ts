/**
 * What the steps of a run take of GPU memory: counted by running them, as they are, on an adapter that computes nothing. So the count is
 * that of the buffer pool itself, and no formula has to follow the model.
 */
import type { Engine } from '../autograd/index.ts';
import type { Tokenizer } from '../data/index.ts';
import { Bert, BlankInitializer, FastProjectors, presets, type MemoryMeasures } from '../model/index.ts';
import { STAGES, type StageName, type TrainConfig } from './config.ts';
import { applyPrecision, disposeState, endStage, newModel, prepareStage, type Position, type RunState } from './run-state.ts';
import type { StepVolumes } from './stage-losses.ts';
import type { StepInput } from './step-input.ts';
import { runStep } from './steps.ts';
import type { HostTaps } from './teacher-targets.ts';
import { TextCache } from './text-cache.ts';

/** All that the memory of a run depends on, beside the adapter. */
export interface RunOutline {
  config: TrainConfig;
  position: Position;
  /** Models that are there before the first step, from a checkpoint. The others are made by the stages. */
  has: Record<'teacher' | 'student' | 'projectors', boolean>;
  vocabularySize: number;
  /** Volumes of a step: the batch, or the virtual one, or as many as there are. */
  volumes: number;
  /** Most texts of a step, and tokens of the longest. */
  texts: { count: number; tokens: number };
}

export interface MemoryCount {
  /** The most that is in use at once, in bytes, and when. */
  peakBytes: number;
  stage: StageName;
  op: string;
  /** Of the peak: parameters of all models, and the optimiser's state. */
  weightBytes: number;
  optimizerBytes: number;
  gradientBytes: number;
  /** The rest: input, what the backward pass needs, and work space. */
  activationBytes: number;
}

/** Moments are made at the end of a stage's first step: the second has all that a step ever has. */
const stepsCounted = 2;

/** The largest count over the first `steps` of each stage that is left, with `measures`, as on `like`. */
export async function countMemory(like: Engine, outline: RunOutline, measures: Readonly<MemoryMeasures>, steps = stepsCounted): Promise<MemoryCount> {
  const { config, position } = outline;
  const engine = await like.counting();
  const state = blankState(engine, { ...outline, config: { ...config, measures: { ...measures } } });
  const { pool } = engine.device;
  let peak: MemoryCount | null = null;
  const stages = STAGES.filter((stage) => config.stages[stage]);
  for (const stage of stages.slice(stages.indexOf(position.stage))) {
    state.position = { stage, step: stage === position.stage ? position.step : 0 };
    if (stage === 'teacher') state.teacher ??= newModel(engine, state, 'teacher', null);
    else state.student ??= newModel(engine, state, 'student', null);
    prepareStage(engine, state, stage);
    applyPrecision(engine, state);
    const weightBytes = engine.memory.liveBytes;
    for (let step = 0; step < steps; step++) {
      const before = engine.memory.liveBytes;
      pool.onPeak = () => {
        const { peakBytes } = engine.memory;
        const gradientBytes = gradientsOf(state);
        peak = { peakBytes, stage, op: engine.device.currentOp, weightBytes, optimizerBytes: before - weightBytes, gradientBytes, activationBytes: peakBytes - before - gradientBytes };
      };
      await runStep(engine, state, stage, step, blankInput(outline, stage, state.teacher !== null));
      pool.onPeak = () => {};
    }
    endStage(state);
  }
  disposeState(state);
  engine.destroy();
  if (!peak) throw new Error('countMemory: the run has no stage left');
  return peak;
}

function blankState(engine: Engine, { config, position, has, vocabularySize }: RunOutline): RunState {
  const { textTower } = config;
  const state: RunState = { config, position, vocabulary: '', tokenizer: blankTokenizer(vocabularySize), teacher: null, student: null, projectors: null, optimizer: null };
  if (textTower?.frozen) {
    state.textTower = new Bert(new BlankInitializer(engine), textTower.text, textTower.vocabularySize).requireGrad(false);
    state.textCache = new TextCache(state.textTower);
  }
  if (has.teacher) state.teacher = newModel(engine, state, 'teacher', null);
  if (has.student) state.student = newModel(engine, state, 'student', null);
  const { width } = presets[config.preset].encoder;
  if (has.projectors) state.projectors = new FastProjectors(engine, width, config.teacher?.width ?? width, 0);
  return state;
}

function gradientsOf({ teacher, student, projectors }: RunState): number {
  let bytes = 0;
  for (const module of [teacher, student, projectors]) {
    for (const { grad } of module?.namedParameters().values() ?? []) if (grad) bytes += grad.view.buffer.bytes;
  }
  return bytes;
}

/** Takes texts that are the numbers of their tokens, no two of the same ids, so that a text cache reads each. */
function blankTokenizer(vocabularySize: number): Tokenizer {
  return {
    vocabularySize,
    encodeBatch: (texts: readonly string[]) => {
      const tokens = Math.max(...texts.map(Number));
      const ids = new Uint32Array(texts.length * tokens);
      texts.forEach((_, row) => ids.set([row % vocabularySize, Math.floor(row / vocabularySize)], row * tokens));
      return { ids, lengths: Uint32Array.from(texts, Number), batch: texts.length, tokens };
    },
  } as unknown as Tokenizer;
}

function blankInput({ config, volumes, texts }: RunOutline, stage: StageName, hasTeacher: boolean): StepInput {
  const size = Math.min(config.batch, volumes);
  const distils = stage === 'fast' || (stage === 'align' && config.fastWeight > 0);
  const foreign = config.teacher !== undefined;
  const voxels = presets[config.preset].grid.shape.reduce((product, extent) => product * extent, size);
  const whole: StepVolumes = {
    size,
    raw: stage === 'teacher' || (distils && !foreign && (hasTeacher || stage === 'fast')) ? new Float32Array(voxels) : null,
    input: stage === 'teacher' ? null : config.input === 'raw' ? new Float32Array(voxels) : new Uint8Array(voxels),
    targets: distils && foreign ? blankTaps(config, size) : null,
  };
  return {
    batch: volumes,
    parts: Array.from({ length: Math.ceil(volumes / size) }, () => ({ size, load: async () => whole })),
    texts: stage === 'fast' ? null : { texts: Array.from({ length: texts.count }, () => String(texts.tokens)), matches: new Uint8Array(Math.ceil(volumes / size) * size * texts.count) },
  };
}

function blankTaps({ teacher }: TrainConfig, size: number): HostTaps {
  const values = new Float32Array(teacher!.grid.reduce((product, extent) => product * extent, size * teacher!.width));
  return [0, 1].map(() => ({ residual: values, features: values }));
}
