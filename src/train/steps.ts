/** One optimisation step of each stage. */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import type { StageName } from './config.ts';
import { backwardScaled } from './gradient-cache.ts';
import { LEAST_LOSS_SCALE } from './loss-scale.ts';
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
 * Gives the GPU forward, backward and the update, and does not wait for it, so that the next step can be submitted behind this one. In f16 the GPU
 * decides whether it takes the update, and the step after next may be submitted only once the values of this one are there.
 */
export function submitStep(engine: Engine, state: RunState, stage: StageName, step: number, input: StepInput, trace: Tracer = noTrace): Promise<SubmittedStep> {
  const { config, optimizer, lossScale } = state;
  const { steps, learningRate: peak } = config.stages[stage]!;
  const rate = learningRate(step, { peak, steps });
  return engine.scope(async () => {
    const scale = lossScale?.current() ?? null;
    const { losses, recenter } = await (input.parts.length > 1 ? virtualBatchLosses : wholeBatchLosses)(engine, state, stage, input, scale, trace);
    const { norm, scaled } = trace.span('optimiser', () => {
      const scaled = lossScale && optimizer!.scaledStep(lossScale, rate / peak);
      const norm = scaled?.norm ?? optimizer!.step(rate / peak);
      optimizer!.zeroGrad();
      // Of a step that is left out too: the centres rest on embeddings alone.
      recenter();
      return { norm, scaled };
    });
    const names = Object.keys(losses);
    const read = readBack([...names.map((name) => losses[name]!), norm, ...(scaled ? [scaled.update, scale!] : [])]);
    const values = read.then((found): StepResult => {
      const [gradientNorm, update, scaleUsed] = found.slice(names.length);
      const result = { losses: Object.fromEntries(names.map((name, index) => [name, found[index]![0]!])), gradientNorm: gradientNorm![0]!, learningRate: rate };
      if (!scaled) return result;
      const taken = update![1] === 1;
      scaled.settle(taken);
      const lossScale = scaleUsed![0]!;
      return { ...result, lossScale, ...(!taken && lossScale > LEAST_LOSS_SCALE && { skipped: true }) };
    });
    values.catch(() => {});
    return { values };
  });
}

/** The values of each tensor. Submits all that is recorded before it returns; the tensors may be disposed of then. */
async function readBack(tensors: readonly Tensor[]): Promise<number[][]> {
  const values = [...(await noGrad(() => ops.concat(tensors.map((tensor) => ops.reshape(tensor, [-1])), { dim: 0 })).toArray())];
  return tensors.map(({ size }) => values.splice(0, size));
}

async function wholeBatchLosses(engine: Engine, state: RunState, stage: StageName, { parts, texts }: StepInput, lossScale: Tensor | null, trace: Tracer): Promise<StageLosses> {
  const read = texts && (await trace.span('texts', () => readTexts(state, trainedModel(state, stage), texts.texts)));
  const volumes = await parts[0]!.load();
  const made = trace.span('forward', () => stageLosses(engine, state, stage, volumes, read && { read, matches: texts.matches }));
  await trace.span('backward', () => backwardScaled(made.losses.loss!, lossScale));
  return made;
}
