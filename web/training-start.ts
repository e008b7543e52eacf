/** What a run starts from: its settings, and its models before the first step. */
import type { Engine } from '../src/autograd/index.ts';
import { allLabelPrompts, buildVocabulary, loadTokenizer, type Cohort } from '../src/data/index.ts';
import { decodeCheckpoint, makeConfig, shareSteps, STAGES, type RunState, type TrainConfig } from '../src/train/index.ts';
import type { NewPreset, RunSettings } from './protocol.ts';

/** Of runs that start from a checkpoint, where none is given. */
const fineTuningRate = 3e-4;
/** Validations in a run, besides those at the ends of stages. */
const validations = 5;

/** Every stage of a preset, for a model from nothing. */
export function newModelConfig(preset: NewPreset, settings: RunSettings, onPhantoms: boolean): TrainConfig {
  const config = makeConfig(preset, settings.seed);
  config.stages = shareSteps(config.stages, settings.steps);
  if (settings.learningRate !== null) for (const stage of Object.values(config.stages)) stage.learningRate = settings.learningRate;
  return { ...config, ...(onPhantoms && { phantom: true }), ...common(settings) };
}

/**
 * The align stage alone, on a checkpoint's student: fine-tuning. What the checkpoint's run had and the page has not is left out: a foreign
 * teacher, whose targets are on the machine that made them, a virtual batch, and f16 where the adapter lacks it. `onPhantoms`: with drawn
 * chests, as which alone a model stays one of phantoms.
 */
export function fineTuningConfig({ teacher: _, virtualBatch: __, precision, phantom, ...base }: TrainConfig, settings: RunSettings, canF16: boolean, onPhantoms: boolean): TrainConfig {
  const align = { steps: settings.steps, learningRate: settings.learningRate ?? fineTuningRate };
  return { ...base, ...(phantom && onPhantoms && { phantom }), ...(precision && canF16 && { precision }), seed: settings.seed, trainable: settings.trainable, stages: { align }, ...common(settings) };
}

function common({ batch, checkpointEvery, steps }: RunSettings): Pick<TrainConfig, 'batch' | 'checkpointEvery' | 'validateEvery'> {
  return { batch, checkpointEvery, validateEvery: Math.max(1, Math.ceil(steps / validations)) };
}

/** A model from nothing, with the vocabulary of the training reports, as `ct-lite train` makes it. */
export function freshState(config: TrainConfig, { scans }: Cohort): RunState {
  const texts = scans.filter(({ split }) => split === 'train').map(({ report }) => report);
  const vocabulary = buildVocabulary([...texts, ...allLabelPrompts()], { minCount: 1 });
  const stage = STAGES.find((name) => config.stages[name])!;
  return { config, vocabulary, tokenizer: loadTokenizer({ vocabTxt: vocabulary }), position: { stage, step: 0 }, teacher: null, student: null, projectors: null, optimizer: null };
}

/** A checkpoint's models at the first step of fine-tuning. @throws where it holds no student. */
export function fineTuningState(engine: Engine, bytes: Uint8Array, name: string, settings: RunSettings, onPhantoms: boolean): RunState {
  const state = decodeCheckpoint(engine, bytes, name);
  if (!state.student) throw new Error(`${name}: holds no student yet (only the teacher stage has run); go on with that run first`);
  state.optimizer?.dispose();
  // They compare the student with the teacher that is left out.
  if (state.config.teacher) state.projectors?.dispose();
  const projectors = state.config.teacher ? null : state.projectors;
  return { ...state, config: fineTuningConfig(state.config, settings, engine.device.canF16, onPhantoms), projectors, position: { stage: 'align', step: 0 }, optimizer: null };
}
