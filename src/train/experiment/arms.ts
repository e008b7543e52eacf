/**
 * The arms of the comparison: what a run of each differs in from the baseline. Everything else, and above all the splits, the number of
 * steps, the order of the batches and the text tower's first weights, is that of the baseline with the same seed.
 */
import type { HeadKind } from '../../model/index.ts';
import { makeConfig, type StudentInput, type TrainConfig } from '../config.ts';
import type { ExperimentConfig } from './experiment-config.ts';

export type ArmGroup = 'core' | 'ablation' | 'quality' | 'heads';
export type FastWeights = TrainConfig['fast'];

/** What an arm reads, how it is taught, and what its heads are. */
export interface Arm {
  /** Unique: a name of `ARM_NAMES`, with @quality where it is not the experiment's. */
  id: string;
  title: string;
  group: ArmGroup;
  input: StudentInput;
  /** JPEG quality of training and evaluation; null where the input is no JPEG. */
  quality: number | null;
  /** Weights of FAST's terms; null without FAST. */
  fast: FastWeights | null;
  /** FAST's style term in another reading. */
  fastStyle?: TrainConfig['fastStyle'];
  /** FAST's weight beside SigLIP where it is not the experiment's. */
  fastWeight?: number;
  head: HeadKind;
}

type Kind = Omit<Arm, 'id' | 'quality' | 'title'> & { title: (input: string) => string };

const all: FastWeights = { style: 1, position: 1, channel: 1, feature: 1 };
const student = (group: ArmGroup, title: string, changes: Partial<Kind> = {}): Kind => ({ group, title: (input) => input + title, input: 'jpeg', fast: all, head: 'sfp', ...changes });

const kinds = {
  baseline: student('core', ', dense heads (baseline)', { input: 'raw', fast: null, head: 'dense' }),
  teacher: student('core', ', dense heads, trained longer (the teacher)', { input: 'raw', fast: null, head: 'dense' }),
  jpeg: student('core', ', dense heads', { fast: null, head: 'dense' }),
  'jpeg-fast': student('core', ' + FAST, dense heads', { head: 'dense' }),
  'jpeg-sfp': student('core', ' + SFP', { fast: null }),
  'ct-lite': student('core', ' + FAST + SFP (CT-Lite)'),
  'raw-fast': student('quality', ' + FAST, dense heads', { input: 'raw', head: 'dense' }),
  'no-style': student('ablation', ' + SFP + FAST without Gram style', { fast: { ...all, style: 0 } }),
  'no-position': student('ablation', ' + SFP + FAST without position attention', { fast: { ...all, position: 0 } }),
  'no-channel': student('ablation', ' + SFP + FAST without channel attention', { fast: { ...all, channel: 0 } }),
  'no-alignment': student('ablation', ' + SFP + FAST without dual-masked alignment', { fast: { ...all, feature: 0 } }),
  'light-fast': student('ablation', ' + SFP + FAST of weight 0.5', { fastWeight: 0.5 }),
  gatys: student('ablation', ' + SFP + FAST with plain Gatys style', { fastStyle: 'gatys' }),
  grey: student('quality', ', dense heads', { input: 'grey', fast: null, head: 'dense' }),
  'low-rank': student('heads', ' + FAST + low-rank heads', { head: 'low-rank' }),
  'tensor-train': student('heads', ' + FAST + tensor-train heads', { head: 'tensor-train' }),
} satisfies Record<string, Kind>;

export type ArmName = keyof typeof kinds;
export const ARM_NAMES = Object.keys(kinds) as ArmName[];
export const BASELINE: ArmName = 'baseline';
/** The baseline, trained for `train.teacherSteps`. */
export const TEACHER: ArmName = 'teacher';

/** The arm whose finished run teaches those with FAST of its seed. */
export const teacherArm = ({ arms }: ExperimentConfig): ArmName => (arms.includes(TEACHER) ? TEACHER : BASELINE);

/** Optimiser steps of a run of the arm, all stages together. */
export const armSteps = ({ id }: Arm, { train }: ExperimentConfig): number => (id === TEACHER ? train.teacherSteps! : train.steps);

/**
 * The arm of an id: a name, or of an arm that reads JPEG name@quality.
 *
 * @throws where there is none, naming those that there are
 */
export function armOf(id: string, quality: number): Arm {
  const [name, own, ...rest] = id.split('@') as [string, string | undefined, ...string[]];
  const kind = Object.hasOwn(kinds, name) ? (kinds[name as ArmName] as Kind) : undefined;
  if (!kind || rest.length) throw new Error(`there is no arm "${id}"; take one of ${ARM_NAMES.join(', ')}, those that read JPEG also with @quality`);
  const { title, ...settings } = kind;
  if (own === undefined) return { ...settings, id, title: title(inputName(kind.input, quality)), quality: kind.input === 'jpeg' ? quality : null };
  if (kind.input !== 'jpeg') throw new Error(`arm "${id}": ${name} reads no JPEG; leave @${own} out`);
  if (!/^\d+$/.test(own) || Number(own) < 1 || Number(own) > 100) throw new Error(`arm "${id}": the quality after @ must be a whole number from 1 to 100`);
  if (Number(own) === quality) throw new Error(`arm "${id}": ${own} is the experiment's quality; write "${name}"`);
  // The core arms again at another quality belong to the quality's table.
  return { ...settings, id, group: kind.group === 'core' ? 'quality' : kind.group, title: title(inputName('jpeg', Number(own))), quality: Number(own) };
}

function inputName(input: StudentInput, quality: number): string {
  return input === 'jpeg' ? `JPEG ${quality}` : input === 'grey' ? '8 bits without JPEG' : 'Uncompressed HU';
}

/**
 * The settings of a run [O]. Every arm is a student that starts from the same weights, those of its seed, and all but the teacher take
 * the same number of steps. Without FAST all are contrastive; with it the first `fastSteps` are FAST alone, the rest contrastive with
 * FAST beside it: the arm pays for its distillation with contrastive steps. Its teacher is the finished run of its seed of arm `teacher`,
 * or of `baseline` where that is not among the arms. Training and evaluation use one quality, the arm's.
 */
export function armConfig(arm: Arm, seed: number, experiment: ExperimentConfig): TrainConfig {
  const { preset, train: settings } = experiment;
  const { steps: _, teacherSteps: __, fastSteps, batch, virtualBatch, learningRate, fastLearningRate, fastWeight, checkpointEvery, ...text } = settings;
  const steps = armSteps(arm, experiment);
  const config = makeConfig(preset, seed);
  const fast = arm.fast && fastSteps > 0 ? { fast: { steps: fastSteps, learningRate: fastLearningRate } } : {};
  return {
    ...config,
    batch,
    ...(virtualBatch !== undefined && { virtualBatch }),
    stages: { ...fast, align: { steps: steps - (fast.fast?.steps ?? 0), learningRate } },
    input: arm.input,
    ...(arm.quality !== null && { quality: arm.quality, trainQuality: [arm.quality, arm.quality] }),
    head: arm.head,
    ...(arm.fast && { teacherHead: 'dense', fast: arm.fast }),
    ...(arm.fastStyle && { fastStyle: arm.fastStyle }),
    studentFromTeacher: false,
    fastWeight: arm.fast ? (arm.fastWeight ?? fastWeight) : 0,
    text: { ...config.text, ...text },
    checkpointEvery,
    // Nothing is chosen while a run trains; the validation split is scored once at its end.
    validateEvery: steps,
  };
}
