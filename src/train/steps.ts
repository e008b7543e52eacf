/** One optimisation step of each stage. */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import type { StageName } from './config.ts';
import type { RunState } from './run-state.ts';
import { learningRate } from './schedule.ts';
import { stageLosses, type StageLosses } from './stage-losses.ts';
import type { StepInput } from './step-input.ts';
import { TextCache } from './text-cache.ts';
import { tokenize, type StepTexts } from './texts.ts';
import { virtualBatchLosses } from './virtual-batch.ts';

/** Values of a step's losses by name, `loss` the total; and the gradient norm before clipping. */
export interface StepResult {
  losses: Record<string, number>;
  gradientNorm: number;
  learningRate: number;
}

/** Runs forward, backward and the update; waits only for the values of the losses. */
export async function runStep(engine: Engine, state: RunState, stage: StageName, step: number, input: StepInput): Promise<StepResult> {
  const { config, optimizer } = state;
  const { steps, learningRate: peak } = config.stages[stage]!;
  const rate = learningRate(step, { peak, steps });
  return engine.scope(async () => {
    const textFeatures = input.texts && (await frozenFeatures(engine, state, input.texts));
    const { losses, recenter } = await (input.parts.length > 1 ? virtualBatchLosses : wholeBatchLosses)(engine, state, stage, input, textFeatures);
    const norm = optimizer!.step(rate / peak);
    optimizer!.zeroGrad();
    recenter();
    const names = Object.keys(losses);
    const values = await noGrad(() => ops.concat([...names.map((name) => ops.reshape(losses[name]!, [1])), norm], { dim: 0 })).toArray();
    return {
      losses: Object.fromEntries(names.map((name, index) => [name, values[index]!])),
      gradientNorm: values[names.length]!,
      learningRate: rate,
    };
  });
}

async function wholeBatchLosses(engine: Engine, state: RunState, stage: StageName, { parts, texts }: StepInput, textFeatures: Tensor | null): Promise<StageLosses> {
  const made = stageLosses(engine, state, stage, await parts[0]!.load(), texts, textFeatures);
  await made.losses.loss!.backward();
  return made;
}

/** What a frozen text tower gives of the step's texts [J, width]; null where the tower is trained. */
async function frozenFeatures(engine: Engine, state: RunState, { texts }: StepTexts): Promise<Tensor | null> {
  const { config, textTower, tokenizer } = state;
  if (!config.textTower?.frozen) return null;
  state.textCache ??= new TextCache(textTower!.width);
  return state.textCache.forward(engine, textTower!, tokenize(tokenizer, texts, config.text.maxTokens));
}
