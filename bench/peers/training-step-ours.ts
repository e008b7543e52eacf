import { ops, type Engine } from '../../src/autograd/index.ts';
import { CtLite, presets } from '../../src/model/index.ts';
import { AdamW } from '../../src/train/index.ts';
import type { Prepared } from './peer.ts';
import { comparedGradients, optimizer as settings, parameterValues, step, stepData, volumeShape } from './training-step.ts';

/** The step as the product computes it: CtLite, SigLIP and AdamW as they are. */
export function prepareTrainingStep(engine: Engine): Prepared {
  const model = new CtLite(engine, presets.tiny, { vocabularySize: step.vocabulary, seed: 1 });
  const values = parameterValues();
  const named = [...model.namedParameters()];
  for (const [name, tensor] of named) {
    if (values[name]?.length !== tensor.size) throw new Error(`the step's parameters lack ${name} of ${tensor.size} values`);
    tensor.write(values[name]);
  }
  if (named.length !== Object.keys(values).length) throw new Error('the step has parameters that the model lacks');
  model.requireGrad(true);
  const { betas, eps, clip, learningRate, weightDecay } = settings;
  const groups = named.map(([name, tensor]) => ({ parameters: [{ name, tensor }], learningRate, weightDecay: tensor.rank < 2 ? 0 : weightDecay }));
  const optimizer = new AdamW(engine, groups, { betas, eps, clip });
  const { volumes, ids, signs } = stepData();
  const input = engine.keep(engine.tensor(volumes, [volumeShape[0]!, 1, ...volumeShape.slice(1, 4)]));
  const texts = { ids, lengths: new Array<number>(step.texts).fill(step.tokens), batch: step.texts, tokens: step.tokens };
  const matches = Uint8Array.from(signs, (sign) => (sign > 0 ? 1 : 0));
  const loss = async (): Promise<number> => {
    const value = ops.sigLipLoss(model.encodeImage(input).embedding, model.encodeText(texts), model.logScale, model.logitBias, { matches });
    await value.backward();
    return value.item();
  };
  return {
    run: () =>
      engine.scope(async () => {
        await loss();
        optimizer.step();
        optimizer.zeroGrad();
        await engine.sync();
      }),
    outputs: () =>
      engine.scope(async () => {
        const results: Record<string, Float32Array> = { loss: Float32Array.of(await loss()) };
        for (const name of comparedGradients) results[name] = (await named.find(([each]) => each === name)![1].grad!.toArray()) as Float32Array;
        optimizer.step(); // makes its moments
        optimizer.zeroGrad();
        return results;
      }),
    dispose() {
      optimizer.dispose();
      model.dispose();
      input.dispose();
    },
  };
}
