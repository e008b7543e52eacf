/** The losses and gradients of a batch larger than the GPU's memory takes at once, part by part. */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import type { StageName } from './config.ts';
import { backwardScaled, backwardThroughCache, type ChunkedSide } from './gradient-cache.ts';
import type { RunState } from './run-state.ts';
import { contrast, encodeVolumes, readTexts, trainedModel, type ReadTexts, type StageLosses, type StepVolumes } from './stage-losses.ts';
import type { StepInput } from './step-input.ts';
import type { Tracer } from './trace.ts';

/** Texts encoded at once: they are small beside volumes. */
const TEXTS_AT_ONCE = 32;

/**
 * Losses over all parts, and their gradients added to the parameters: SigLIP by gradient caching, FAST, a mean over volumes, by
 * accumulation. Equal to the whole batch's to f32 rounding. The gradients are multiplied with `lossScale` [1], where there is one.
 */
export async function virtualBatchLosses(engine: Engine, state: RunState, stage: StageName, { batch, parts, texts }: StepInput, lossScale: Tensor | null, trace: Tracer): Promise<StageLosses> {
  const terms = new BatchTerms(engine);
  if (stage === 'fast') {
    for (const part of parts) {
      const volumes = await trace.span('wait for input', () => part.load());
      await trace.span('forward and backward', () => engine.scope(async () => {
        const { distilled } = encodeVolumes(engine, state, stage, volumes);
        terms.add(distilled!, volumes.size / batch);
        await backwardScaled(ops.mul(distilled!.fast!, volumes.size / batch), lossScale);
      }));
    }
    const losses = terms.mean();
    return { losses: { loss: losses.fast!, ...losses }, recenter: () => {} };
  }

  const model = trainedModel(state, stage);
  const images: ChunkedSide<StepVolumes> = {
    chunks: parts.length,
    load: (index) => trace.span('wait for input', () => parts[index]!.load()),
    encode: (volumes, withTape) => {
      const { embedding, distilled } = encodeVolumes(engine, state, stage, volumes, { distil: withTape });
      if (distilled) terms.add(distilled, volumes.size / batch);
      return {
        embeddings: embedding!,
        loss: distilled && ops.mul(distilled.fast!, (state.config.fastWeight * volumes.size) / batch),
      };
    },
  };
  const sentences: ChunkedSide<ReadTexts['read']> = {
    chunks: Math.ceil(texts!.texts.length / TEXTS_AT_ONCE),
    load: (index) => readTexts(state, model, texts!.texts.slice(index * TEXTS_AT_ONCE, (index + 1) * TEXTS_AT_ONCE)),
    encode: (read) => ({ embeddings: model.encodeText(read) }),
  };
  let recenter: StageLosses['recenter'] = () => {};
  const { loss: sigLip } = await trace.span('forward and backward', () => backwardThroughCache(engine, [images, sentences] as ChunkedSide[], ([u, v]) => {
    const made = contrast(state, stage, u!, v!, texts!.matches);
    recenter = made.recenter;
    return made.loss;
  }, { lossScale }));
  if (stage === 'teacher') return { losses: { loss: sigLip }, recenter };
  const distilled = terms.mean();
  const loss = distilled.fast ? noGrad(() => ops.add(ops.reshape(sigLip, [1]), ops.mul(distilled.fast!, state.config.fastWeight))) : sigLip;
  return { losses: { loss, sigLip, ...distilled }, recenter };
}

/** Means over a batch of terms that come part by part; the parts' scopes may end before. */
class BatchTerms {
  private readonly engine: Engine;
  private names: string[] = [];
  private readonly parts: Tensor[] = [];

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** `share` of the batch in this part. Called in the scope of the part. */
  add(terms: Record<string, Tensor>, share: number): void {
    this.names = Object.keys(terms);
    const values = noGrad(() => ops.mul(ops.concat(this.names.map((name) => ops.reshape(terms[name]!.detach(), [1])), { dim: 0 }), share));
    this.engine.moveToOuterScope(values);
    this.parts.push(values);
  }

  mean(): Record<string, Tensor> {
    const [first, ...rest] = this.parts;
    if (!first) return {};
    return noGrad(() => {
      const sum = rest.reduce((total, part) => ops.add(total, part), first);
      return Object.fromEntries(this.names.map((name, at) => [name, ops.slice(sum, { dim: 0, start: at, end: at + 1 })]));
    });
  }
}
