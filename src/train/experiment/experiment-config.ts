/** The file that an experiment is: which arms, on what, for how long. docs/EXPERIMENT.md explains each key. */
import { presets, type PresetName } from '../../model/index.ts';
import { makeConfig } from '../config.ts';
import { armOf, BASELINE, TEACHER } from './arms.ts';

/** A drawn cohort: MODEL knows no public one that could come along. Keys as `ct-lite phantom` and its PhantomOptions. */
export interface PhantomCohortConfig {
  seed: number;
  /** Training and test patients; a share of the first is the validation split. */
  patients: number;
  testPatients: number;
  /** Lowest share of scans with each label. */
  prevalenceFloor: number;
  /** Of every finding, from subtle to gross in (0, 1]; 0 draws one for each. */
  severity: number;
  /** Shares of scans with two reconstructions, and of patients with two scans. */
  secondReconstruction: number;
  followUp: number;
  resolution: 'small' | 'full';
}

/** A cohort on disk, as the flags of `ct-lite train`; paths as seen from the config file. */
export interface CohortConfig {
  data: string;
  reports?: string;
  labels?: string;
  columns?: string;
  labelMap?: string;
}

export interface ExperimentTraining {
  /** Optimiser steps of every arm, all stages together. */
  steps: number;
  /** Of arm `teacher`, which FAST then learns from in place of the baseline; with that arm, and only then. */
  teacherSteps?: number;
  /** Of these, in arms with FAST, the first that are FAST alone. */
  fastSteps: number;
  batch: number;
  virtualBatch?: number;
  learningRate: number;
  fastLearningRate: number;
  /** Weight of FAST beside SigLIP. */
  fastWeight: number;
  sentencesPerScan: number;
  labelPrompts: boolean;
  checkpointEvery: number;
}

export interface ExperimentConfig {
  name: string;
  preset: PresetName;
  seeds: number[];
  /** JPEG quality of the arms that say no other. */
  quality: number;
  arms: string[];
  cohort: PhantomCohortConfig | CohortConfig;
  train: ExperimentTraining;
  /** Resamples of the bootstrap. */
  resamples: number;
}

export const isPhantom = (cohort: ExperimentConfig['cohort']): cohort is PhantomCohortConfig => !('data' in cohort);

type Fields = Record<string, unknown>;
type Reader<T> = (value: unknown, key: string) => T;

const number = (rule: string, fits: (value: number) => boolean): Reader<number> => (value, key) => {
  if (typeof value !== 'number' || !fits(value)) throw new Error(`"${key}" must be ${rule}, got ${JSON.stringify(value)}`);
  return value;
};
const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Reader<number> =>
  number(most === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${least}` : `a whole number from ${least} to ${most}`, (value) => Number.isSafeInteger(value) && value >= least && value <= most);
const share = number('a number from 0 to 1', (value) => value >= 0 && value <= 1);
const positive = number('a number above 0', (value) => value > 0 && Number.isFinite(value));
const notNegative = number('a number of at least 0', (value) => value >= 0 && Number.isFinite(value));
const text: Reader<string> = (value, key) => {
  if (typeof value !== 'string' || value === '') throw new Error(`"${key}" must be a text, got ${JSON.stringify(value)}`);
  return value;
};
const flag: Reader<boolean> = (value, key) => {
  if (typeof value !== 'boolean') throw new Error(`"${key}" must be true or false, got ${JSON.stringify(value)}`);
  return value;
};
const oneOf = <T extends string>(names: readonly T[]): Reader<T> => (value, key) => {
  if (!names.includes(value as T)) throw new Error(`"${key}" must be one of ${names.join(', ')}, got ${JSON.stringify(value)}`);
  return value as T;
};
const list = <T>(read: Reader<T>): Reader<T[]> => (value, key) => {
  if (!Array.isArray(value) || !value.length) throw new Error(`"${key}" must be a list of at least one, got ${JSON.stringify(value)}`);
  const items = value.map((item, at) => read(item, `${key}[${at}]`));
  if (new Set(items).size < items.length) throw new Error(`"${key}" names one twice: ${items.join(', ')}`);
  return items;
};

/** Reads the fields that `readers` has; what is absent is taken from `defaults`, and left out where those have none and it is optional. */
function readFields<T extends object>(value: unknown, where: string, readers: { [Key in keyof Required<T>]: Reader<NonNullable<T[Key]>> }, defaults: Partial<T>, optional: readonly (keyof T)[] = []): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${where ? `"${where}"` : 'the file'} must be an object, got ${JSON.stringify(value)}`);
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(readers, key));
  if (unknown !== undefined) throw new Error(`there is no key "${where ? `${where}.` : ''}${unknown}"; take one of ${Object.keys(readers).join(', ')}`);
  const read: Fields = {};
  for (const key of Object.keys(readers) as (keyof T & string)[]) {
    const given = (value as Fields)[key] ?? defaults[key];
    const path = where ? `${where}.${key}` : key;
    if (given !== undefined) read[key] = readers[key](given, path);
    else if (!optional.includes(key)) throw new Error(`"${path}" is missing`);
  }
  return read as T;
}

const readCohort: Reader<ExperimentConfig['cohort']> = (value, key) =>
  typeof value === 'object' && value !== null && 'data' in value
    ? readFields<CohortConfig>(value, key, { data: text, reports: text, labels: text, columns: text, labelMap: text }, {}, ['reports', 'labels', 'columns', 'labelMap'])
    : readFields<PhantomCohortConfig>(
        value, key,
        { seed: whole(0, 0x7fffffff), patients: whole(6), testPatients: whole(2), prevalenceFloor: share, severity: share, secondReconstruction: share, followUp: share, resolution: oneOf(['small', 'full']) },
        { prevalenceFloor: 0.12, severity: 0, secondReconstruction: 0.35, followUp: 0.08, resolution: 'small' },
      );

function readTraining(preset: PresetName): Reader<ExperimentTraining> {
  const { batch, stages, text: texts, fastWeight, checkpointEvery } = makeConfig(preset, 0);
  const learningRate = stages.teacher!.learningRate;
  return (value, key) =>
    readFields<ExperimentTraining>(
      value, key,
      {
        steps: whole(1), teacherSteps: whole(1), fastSteps: whole(0), batch: whole(1), virtualBatch: whole(1), learningRate: positive, fastLearningRate: positive, fastWeight: notNegative,
        sentencesPerScan: whole(0), labelPrompts: flag, checkpointEvery: whole(1),
      },
      { batch, learningRate, fastLearningRate: learningRate, fastWeight, sentencesPerScan: texts.sentencesPerScan, labelPrompts: texts.labelPrompts ?? false, checkpointEvery },
      ['virtualBatch', 'teacherSteps'],
    );
}

/**
 * Reads a config file; what it leaves out has the default of docs/EXPERIMENT.md.
 *
 * @param name the file, for errors
 * @throws naming file and key where a key is missing, unknown or out of range
 */
export function parseExperiment(json: string, name: string): ExperimentConfig {
  try {
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw new Error(`must hold JSON, it does not (${(error as Error).message})`);
    }
    const preset = oneOf(Object.keys(presets) as PresetName[])((value as Fields | null)?.preset ?? 'tiny', 'preset');
    const config = readFields<ExperimentConfig>(
      value, '',
      {
        name: (given, key) => {
          const read = text(given, key);
          if (!/^[a-z0-9-]+$/.test(read)) throw new Error(`"${key}" becomes a file's name: small letters, digits and - only, got ${JSON.stringify(read)}`);
          return read;
        },
        preset: oneOf(Object.keys(presets) as PresetName[]), seeds: list(whole(0, 1_000_000)), quality: whole(1, 100), arms: list(text), cohort: readCohort, train: readTraining(preset), resamples: whole(100, 100_000),
      },
      { preset: 'tiny', seeds: [0, 1, 2], quality: 75, resamples: 1000 },
    );
    for (const id of config.arms) armOf(id, config.quality);
    if (!config.arms.includes(BASELINE)) throw new Error(`"arms" must have "${BASELINE}": the others are compared with it`);
    const { steps, fastSteps, teacherSteps } = config.train;
    if (fastSteps >= steps) throw new Error(`"train.fastSteps" must be below "train.steps", got ${fastSteps} of ${steps}`);
    if (config.arms.includes(TEACHER) !== (teacherSteps !== undefined)) throw new Error(`arm "${TEACHER}" and "train.teacherSteps" belong together: give both or neither`);
    return config;
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** Keys in which two configs differ, with both values: `train.steps: 400 → 600`. Empty where they are the same. */
export function configDifferences(before: unknown, after: unknown, path = ''): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(before) || !isObject(after)) return [`${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => configDifferences(before[key], after[key], path ? `${path}.${key}` : key));
}
