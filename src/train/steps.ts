/** One optimisation step of each stage. */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import type { StageName } from './config.ts';
import { backwardScaled } from './gradient-cache.ts';
import { LEAST_LOSS_SCALE, nextLossScale } from './loss-scale.ts';
import type { RunState } from './run-state.ts';
import { learningRate } from './schedule.ts';
import { readTexts, stageLosses, trainedModel, type StageLosses } from './stage-losses.ts';
import type { StepInput } from './step-input.ts';
import { noTrace, type Tracer } from './trace.ts';
import { virtualBatchLosses } from './virtual-batch.ts';

/** Values of a step's losses by name, `loss` the total; and the gradient norm before clipping. */
export interface StepResult {
  losses: Record<string, number>;
  gradientNorm: number;
  learningRate: number;
  /** Of a run in f16: what the loss of this step was multiplied with. */
  lossScale?: number;
  /** The gradients were not finite in f16, and the update was left out. */
  skipped?: true;
}

/** A step whose work the GPU has been given. */
export interface SubmittedStep {
  /** Comes once the GPU has done the step. Of a rejection nobody need have heard: the step may be waited for later. */
  values: Promise<StepResult>;
}

/** Runs forward, backward and the update, and waits for the values of the losses. */
export async function runStep(engine: Engine, state: RunState, stage: StageName, step: number, input: StepInput): Promise<StepResult> {
  const { values } = await submitStep(engine, state, stage, step, input);
  return values;
}

/**
 * Gives the GPU forward, backward and the update. In f32 nothing is waited for, so that the next step can be submitted behind this one; in f16 the
 * values are known when it returns, since the gradient norm decides on the update.
 */
export function submitStep(engine: Engine, state: RunState, stage: StageName, step: number, input: StepInput, trace: Tracer = noTrace): Promise<SubmittedStep> {
  const { config, optimizer } = state;
  const { steps, learningRate: peak } = config.stages[stage]!;
  const rate = learningRate(step, { peak, steps });
  return engine.scope(async () => {
    const { losses, recenter } = await (input.parts.length > 1 ? virtualBatchLosses : wholeBatchLosses)(engine, state, stage, input, trace);
    const result = (values: StepValues): StepResult => ({ ...values, learningRate: rate });
    if (state.lossScale) return { values: Promise.resolve(result(await scaledUpdate(state, losses, recenter, rate / peak, trace))) };
    const norm = trace.span('optimiser', () => {
      const gradientNorm = optimizer!.step(rate / peak);
      optimizer!.zeroGrad();
      recenter();
      return gradientNorm;
    });
    const values = readBack(losses, norm).then(result);
    values.catch(() => {});
    return { values };
  });
}

type StepValues = Omit<StepResult, 'learningRate'>;

/** Submits all that is recorded before it returns; the tensors may be disposed of then. */
async function readBack(losses: Record<string, Tensor>, norm: Tensor): Promise<{ losses: Record<string, number>; gradientNorm: number }> {
  const names = Object.keys(losses);
  const values = await noGrad(() => ops.concat([...names.map((name) => ops.reshape(losses[name]!, [1])), norm], { dim: 0 })).toArray();
  return { losses: Object.fromEntries(names.map((name, index) => [name, values[index]!])), gradientNorm: values[names.length]! };
}

/**
 * The update of gradients that were scaled: it is left out where their norm is not finite, so the norm is read first. The heads are
 * centred all the same: that rests on embeddings alone.
 */
async function scaledUpdate(state: RunState, losses: Record<string, Tensor>, recenter: () => unknown, rateFactor: number, trace: Tracer): Promise<StepValues> {
  const optimizer = state.optimizer!;
  const { scale } = state.lossScale!;
  const norm = optimizer.gradientNorm({ lossScale: scale });
  const values = await trace.span('read back', () => readBack(losses, norm));
  const finite = Number.isFinite(values.gradientNorm);
  trace.span('optimiser', () => {
    if (finite) optimizer.step(rateFactor, { lossScale: scale, norm });
    optimizer.zeroGrad();
    recenter();
  });
  state.lossScale = nextLossScale(state.lossScale!, finite);
  return { ...values, lossScale: scale, ...(!finite && scale > LEAST_LOSS_SCALE && { skipped: true }) };
}

async function wholeBatchLosses(engine: Engine, state: RunState, stage: StageName, { parts, texts }: StepInput, trace: Tracer): Promise<StageLosses> {
  const read = texts && (await trace.span('texts', () => readTexts(state, trainedModel(state, stage), texts.texts)));
  const volumes = await parts[0]!.load();
  const made = trace.span('forward', () => stageLosses(engine, state, stage, volumes, read && { read, matches: texts.matches }));
  await trace.span('backward', () => backwardScaled(made.losses.loss!, state.lossScale?.scale ?? 1));
  return made;
}
