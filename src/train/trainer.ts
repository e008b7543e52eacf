/** The training loop: stages, validation, checkpoints, the metrics file; interruptible and exactly resumable. */
import type { Engine } from '../autograd/index.ts';
import type { Cohort, FileSystem } from '../data/index.ts';
import { STAGES, totalSteps, type StageName } from './config.ts';
import { RunPlans, type RunTuning } from './run-plans.ts';
import { applyPrecision, endStage, encodeCheckpoint, prepareStage, requirePrecision, type RunState } from './run-state.ts';
import { loadStep, type StepInput } from './step-input.ts';
import { submitStep, type StepResult } from './steps.ts';
import { StepsInFlight, type StepInFlight } from './steps-in-flight.ts';
import type { StepProfiler } from './step-profile.ts';
import type { TeacherTargets } from './teacher-targets.ts';
import { sentenceFrequencies } from './texts.ts';
import { noTrace } from './trace.ts';
import { measureDistillation, validateAuroc, type DistillationMeasure } from './validate.ts';
import type { VolumeStore } from './volumes.ts';

/** One line of metrics.jsonl. */
export interface StepRecord {
  kind: 'step';
  /** Steps done over all stages, this one included. */
  globalStep: number;
  stage: StageName;
  /** Steps done of this stage. */
  step: number;
  losses: Record<string, number>;
  /** null where the step was skipped. */
  gradientNorm: number | null;
  learningRate: number;
  /** Of a run in f16: what the loss was multiplied with for the backward pass. */
  lossScale?: number;
  /** The gradients were not finite in f16: no update, and the next step has half the scale. */
  skipped?: true;
  /** Since the step before ended on the GPU, or this one was begun where that was later. */
  seconds: number;
  volumesPerSecond: number;
  /** Bytes of GPU buffers in use at most so far. */
  gpuBytes: number;
}

export interface ValidationRecord {
  kind: 'validation';
  globalStep: number;
  stage: StageName;
  /** Mean AUROC over the measurable labels; null where none is. */
  meanAuroc: number | null;
}

/** FAST on validation scans, before the first and after the last step of the stage `fast`. */
export interface DistillationRecord extends DistillationMeasure {
  kind: 'distillation';
  globalStep: number;
  stage: StageName;
}

export type MetricsRecord = StepRecord | ValidationRecord | DistillationRecord;

export interface TrainerHost {
  files: FileSystem;
  /** Folder of the run; exists. */
  folder: string;
  volumes: VolumeStore;
  /** Of the foreign teacher that the config names; complete for the training scans. */
  targets?: TeacherTargets;
  onStep: (record: StepRecord, total: number) => void;
  onValidation?: (record: ValidationRecord) => void;
  onNote: (text: string) => void;
  /** Measures which kernel plans are the fastest here, after the first step of each stage. Without it the engine's plans stay. */
  tuning?: RunTuning;
  /** Profiles some steps; its caller ends it where the run ends before. */
  profiler?: StepProfiler;
  /** True once the user asked to stop: the step in progress, one after the last that `onStep` told, is finished and saved. */
  stopRequested: () => boolean;
}

export type TrainingOutcome = 'finished' | 'interrupted';

export const CHECKPOINT_FILE = 'checkpoint.safetensors';
export const METRICS_FILE = 'metrics.jsonl';

/** A loss that is NaN or infinite. Names the step, the term and the last good checkpoint. */
export class DivergedError extends Error {
  constructor(globalStep: number, stage: StageName, term: string, value: number, lastGood: string | null) {
    super(`train: step ${globalStep} (stage ${stage}): ${term} is ${value}; last good checkpoint: ${lastGood ?? 'none yet'}. ${lastGood ? 'Go on from it with --resume and' : 'Start again with'} a lower --learning-rate`);
    this.name = 'DivergedError';
  }
}

/**
 * Runs the stages that are left. After a kill at any moment `--resume` starts from the last checkpoint and, on the same adapter,
 * computes the same losses as the unbroken run: everything drawn depends on seed and step alone.
 */
export async function train(engine: Engine, state: RunState, cohort: Cohort, host: TrainerHost): Promise<TrainingOutcome> {
  const plans = host.tuning ? await RunPlans.open(engine, host, host.tuning, state.position) : null;
  try {
    return await runStages(engine, state, cohort, host, plans);
  } finally {
    plans?.close();
  }
}

async function runStages(engine: Engine, state: RunState, cohort: Cohort, host: TrainerHost, plans: RunPlans | null): Promise<TrainingOutcome> {
  const { config } = state;
  const trainScans = cohort.scans.filter(({ split }) => split === 'train');
  const validationScans = cohort.splitTooSmall ? trainScans : cohort.scans.filter(({ split }) => split === 'validation');
  const source = { scans: trainScans, frequencies: sentenceFrequencies(trainScans), volumes: host.volumes, ...(host.targets && { targets: host.targets }) };
  const metrics = new MetricsLog(host);
  const trace = host.profiler ?? noTrace;
  requirePrecision(engine, config.precision ?? 'f32');
  if (config.teacher && !host.targets) throw new Error('train: the run distils a foreign teacher, and its targets were not given');
  if (!trainScans.length) throw new Error('train: the cohort has no training scans; give more scans, or mend those that were skipped');
  await metrics.rewindTo(globalStepOf(state), state.position.stage);
  const place = (): string => `${host.files.join(host.folder, CHECKPOINT_FILE)} (step ${globalStepOf(state)})`;
  // A run that starts past its first step was read from its checkpoint.
  let saved = globalStepOf(state) > 0 ? place() : null;
  const save = async (): Promise<void> => {
    await inFlight.settleAll(); // nothing is saved that may be poisoned
    // Before the checkpoint: a run resumed from it then finds the texts read that had been read when it was written.
    await state.textCache?.save();
    await host.files.writeFile(host.files.join(host.folder, CHECKPOINT_FILE), await encodeCheckpoint(engine, state));
    saved = place();
  };
  let settledAt = 0;
  const settle = async (submitted: StepInFlight): Promise<void> => {
    const { globalStep, stage, step, batch, started } = submitted;
    const result = await trace.span('read back', () => submitted.values);
    checkFinite(result, globalStep, stage, saved);
    const begun = Math.max(started, settledAt);
    settledAt = performance.now();
    const seconds = (settledAt - begun) / 1000;
    const record: StepRecord = {
      kind: 'step', globalStep, stage, step, ...result, gradientNorm: result.skipped ? null : result.gradientNorm, seconds, volumesPerSecond: batch / seconds, gpuBytes: engine.memory.peakBytes,
    };
    if (result.skipped) host.onNote(`step ${globalStep}: gradients beyond f16 at loss scale ${result.lossScale}; no update, the scale is halved`);
    await trace.span('metrics', () => metrics.append(record));
    host.profiler?.stepEnds(globalStep, started);
    host.onStep(record, totalSteps(config));
  };
  const inFlight = new StepsInFlight(settle);

  const runStage = async (stage: StageName): Promise<TrainingOutcome> => {
    if (state.position.stage !== stage) state.position = { stage, step: 0 };
    const { steps } = config.stages[stage]!;
    if (state.position.step >= steps) {
      endStage(state);
      return 'finished';
    }
    prepareStage(engine, state, stage);
    applyPrecision(engine, state);
    const distillation = async (): Promise<void> => {
      // A foreign teacher has no targets of validation scans.
      if (stage !== 'fast' || !state.teacher || !validationScans.length) return;
      const record: DistillationRecord = { kind: 'distillation', globalStep: globalStepOf(state), stage, ...(await measureDistillation(engine, state, validationScans, host.volumes)) };
      await metrics.append(record);
      host.onNote(`FAST on ${record.scans} validation scans at JPEG ${record.quality} ${state.position.step ? 'after' : 'before'} its stage: ${record.losses.fast!.toPrecision(4)}`);
    };
    if (state.position.step === 0) await distillation();
    const load = (step: number): Promise<StepInput> => {
      const input = trace.span(`input of step ${step + 1}`, () => loadStep(config, stage, step, source, state.teacher !== null), 'input');
      input.catch(() => {}); // awaited at its step; until then a failure must not count as unhandled
      return input;
    };
    let next = load(state.position.step);
    for (let step = state.position.step; step < steps; step++) {
      await host.profiler?.stepBegins(globalStepOf(state) + 1, totalSteps(config) - globalStepOf(state));
      const started = performance.now();
      const input = await trace.span('wait for input', () => next);
      if (step + 1 < steps) next = load(step + 1);
      plans?.stepBegins(stage);
      const { values } = await submitStep(engine, state, stage, step, input, trace);
      state.position = { stage, step: step + 1 };
      const globalStep = globalStepOf(state);
      await inFlight.add({ values, globalStep, stage, step: step + 1, batch: input.batch, started });

      const last = step + 1 === steps;
      const saves = last || (step + 1) % config.checkpointEvery === 0;
      const validates = stage !== 'fast' && (last || (step + 1) % config.validateEvery === 0) && validationScans.some(({ labels }) => labels);
      // What follows rests on the step, or needs the device to itself.
      if (saves || validates || host.stopRequested() || plans?.tunesAfter(stage)) await inFlight.settleAll();
      await plans?.stepEnds(stage, step + 1);
      if (validates) {
        const validation: ValidationRecord = { kind: 'validation', globalStep, stage, meanAuroc: await trace.span('validation', () => validateAuroc(engine, state, stage, validationScans, host.volumes)) };
        await metrics.append(validation);
        host.onNote(`validation after step ${globalStep} (${stage === 'teacher' ? 'teacher, uncompressed' : `student, JPEG ${config.quality}`}): mean AUROC ${validation.meanAuroc?.toFixed(3) ?? 'not measurable'} on ${validationScans.length} scans`);
        host.onValidation?.(validation);
      }
      if (last) await trace.span('validation', distillation);
      const stops = host.stopRequested();
      if (saves || stops) await trace.span('checkpoint', save);
      await host.profiler?.afterStep();
      if (stops) {
        host.onNote(`stopped after step ${globalStep}; saved ${saved}`);
        return 'interrupted';
      }
    }
    endStage(state);
    return 'finished';
  };

  const stages = STAGES.filter((stage) => config.stages[stage]);
  try {
    for (const stage of stages.slice(stages.indexOf(state.position.stage))) {
      if ((await runStage(stage)) === 'interrupted') return 'interrupted';
    }
    return 'finished';
  } catch (error) {
    // A step in flight came before what failed: its line is written, or its own failure was the first.
    await inFlight.settleAll();
    throw error;
  }
}

/** Steps done over all stages. */
export function globalStepOf({ config, position }: Pick<RunState, 'config' | 'position'>): number {
  const before = STAGES.slice(0, STAGES.indexOf(position.stage));
  return before.reduce((steps, stage) => steps + (config.stages[stage]?.steps ?? 0), position.step);
}

function checkFinite({ losses, gradientNorm, skipped }: StepResult, globalStep: number, stage: StageName, saved: string | null): void {
  // The terms before their sum: the first that is not finite is the cause.
  const { loss, ...terms } = losses;
  for (const [term, value] of [...Object.entries(terms), ['loss', loss!], ['gradient norm', skipped ? 0 : gradientNorm]] as [string, number][]) {
    if (!Number.isFinite(value)) throw new DivergedError(globalStep, stage, term, value, saved);
  }
}

/** metrics.jsonl, a line a step. */
class MetricsLog {
  private readonly host: TrainerHost;
  private readonly path: string;

  constructor(host: TrainerHost) {
    this.host = host;
    this.path = host.files.join(host.folder, METRICS_FILE);
  }

  append(record: MetricsRecord): Promise<void> {
    return this.host.files.appendFile(this.path, `${JSON.stringify(record)}\n`);
  }

  /** Drops what was logged after the checkpoint that a resumed run starts from, the first word of the next stage included. */
  async rewindTo(globalStep: number, stage: StageName): Promise<void> {
    const { files } = this.host;
    if (!(await files.exists(this.path))) return;
    const kept = parseMetrics(await files.readFile(this.path)).filter((record) => record.globalStep < globalStep || (record.globalStep === globalStep && record.stage === stage));
    await files.writeFile(this.path, new TextEncoder().encode(kept.map((record) => `${JSON.stringify(record)}\n`).join('')));
  }
}

/** The records of a metrics.jsonl. A last line that a kill cut short is dropped. */
export function parseMetrics(bytes: Uint8Array): MetricsRecord[] {
  const records: MetricsRecord[] = [];
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    try {
      if (line) records.push(JSON.parse(line) as MetricsRecord);
    } catch {
      break;
    }
  }
  return records;
}
