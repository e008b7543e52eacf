/** One optimisation step of each stage. */
import { noGrad, ops, type Engine } from '../autograd/index.ts';
import type { StageName } from './config.ts';
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
}

/** Runs forward, backward and the update; waits only for the values of the losses. */
export async function runStep(engine: Engine, state: RunState, stage: StageName, step: number, input: StepInput, trace: Tracer = noTrace): Promise<StepResult> {
  const { config, optimizer } = state;
  const { steps, learningRate: peak } = config.stages[stage]!;
  const rate = learningRate(step, { peak, steps });
  return engine.scope(async () => {
    const { losses, recenter } = await (input.parts.length > 1 ? virtualBatchLosses : wholeBatchLosses)(engine, state, stage, input, trace);
    const norm = trace.span('optimiser', () => {
      const gradientNorm = optimizer!.step(rate / peak);
      optimizer!.zeroGrad();
      recenter();
      return gradientNorm;
    });
    const names = Object.keys(losses);
    const values = await trace.span('read back', () => noGrad(() => ops.concat([...names.map((name) => ops.reshape(losses[name]!, [1])), norm], { dim: 0 })).toArray());
    return {
      losses: Object.fromEntries(names.map((name, index) => [name, values[index]!])),
      gradientNorm: values[names.length]!,
      learningRate: rate,
    };
  });
}

async function wholeBatchLosses(engine: Engine, state: RunState, stage: StageName, { parts, texts }: StepInput, trace: Tracer): Promise<StageLosses> {
  const read = texts && (await trace.span('texts', () => readTexts(state, trainedModel(state, stage), texts.texts)));
  const volumes = await parts[0]!.load();
  const made = trace.span('forward', () => stageLosses(engine, state, stage, volumes, read && { read, matches: texts.matches }));
  await trace.span('backward', () => made.losses.loss!.backward());
  return made;
}
