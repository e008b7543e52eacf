/** A student trained by FAST alone on patches: the teacher sees them raw, the student after JPEG (MODEL §4, stage A). */
import { noGrad, type Engine } from '../autograd/index.ts';
import { jpegRoundTrip, valueToGrey, type Size3 } from '../data/index.ts';
import { ConvStemViT, fastLoss, FastProjectors, Initializer, presets, type PresetName } from '../model/index.ts';
import { AdamW } from './optimizer.ts';
import type { PatchFastSettings, PatchInput } from './patch-fast-result.ts';
import { encodePatches, type PatchModel } from './patch-measures.ts';
import { batchIndices, seededRandom, uniform } from './sampler.ts';
import { learningRate } from './schedule.ts';
import { uploadVolumes } from './upload-volumes.ts';

/** AdamW as the stages of `train` use it (MODEL §5). */
const OPTIMIZER = { betas: [0.9, 0.98], clip: 1 } as const;
const WEIGHT_DECAY = 0.05;

/** A patch as a model under test gets it: grey levels, after JPEG or, for '8-bit', as they are. */
export async function compressPatch(values: Float32Array, shape: Size3, input: PatchInput): Promise<Uint8Array<ArrayBuffer>> {
  return input === '8-bit' ? Uint8Array.from(values, valueToGrey) : jpegRoundTrip(values, shape, input);
}

/** Patches one after another. */
export function joinPatches<T extends Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(patches: readonly T[]): T {
  const all = new (patches[0]!.constructor as new (length: number) => T)(patches.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const patch of patches) {
    all.set(patch, at);
    at += patch.length;
  }
  return all;
}

/**
 * A student before training: with the teacher's weights, or with weights and projectors of its own.
 *
 * One that starts from the teacher has no projectors [O]: learned ones let its features turn away from what its pooling reads. Measured on a
 * scan that was not trained on, tokens came out alike, the pooled output nearer (8 bits without JPEG: cosine 0.9950 against 0.9925).
 */
export function makePatchStudent(engine: Engine, preset: PresetName, seed: number, teacher: ConvStemViT | null): PatchModel {
  const vision = new ConvStemViT(new Initializer(engine, seed), presets[preset].encoder);
  if (!teacher) return { vision, projectors: new FastProjectors(engine, vision.width, vision.width, seed + 1), comparesPooled: false };
  const source = teacher.namedParameters();
  for (const [name, target] of vision.namedParameters()) engine.device.copy(source.get(name)!.view, target.view);
  return { vision, projectors: null, comparesPooled: true };
}

export interface PatchTraining {
  teacher: ConvStemViT;
  model: PatchModel;
  patches: readonly Float32Array<ArrayBuffer>[];
  settings: PatchFastSettings;
  /** Of the batches and qualities: arms with the same seed see the same. */
  seed: number;
  /** After each step; throws where the user asked to stop. */
  onStep: (step: number, loss: number) => void;
}

/** Trains in place. Gives FAST's value at each step. @throws Error where a loss is not finite */
export async function trainPatchStudent(engine: Engine, { teacher, model, patches, settings, seed, onStep }: PatchTraining): Promise<number[]> {
  const { shape, steps, batch, learningRate: peak, trainQuality: [low, high], weights, style, styleTau, maskTau } = settings;
  const optimizer = makeOptimizer(engine, model, peak);
  const size = Math.min(batch, patches.length);
  const load = async (step: number): Promise<{ raw: Float32Array<ArrayBuffer>; jpeg: Uint8Array<ArrayBuffer> }> => {
    const chosen = batchIndices(seed, step, size, patches.length).map((index) => patches[index]!);
    const jpeg = chosen.map((values, row) => compressPatch(values, shape, Math.round(uniform(seededRandom(seed, step, row, 'quality'), low, high))));
    return { raw: joinPatches(chosen), jpeg: joinPatches(await Promise.all(jpeg)) };
  };
  const losses: number[] = [];
  try {
    for (let step = 0; step < steps; step++) {
      const { raw, jpeg } = await load(step);
      const loss = await engine.scope(async () => {
        const dims = [size, 1, ...shape];
        const target = encodePatches(engine, teacher, raw, dims);
        const { taps } = model.vision.forward(uploadVolumes(engine, jpeg, dims));
        const { total } = fastLoss({ student: taps, teacher: target.taps, projectors: model.projectors?.taps ?? taps.map(() => null) }, { weights, style, styleTau, maskTau });
        await total.backward();
        noGrad(() => optimizer.step(learningRate(step, { peak, steps }) / peak));
        optimizer.zeroGrad();
        return total.item();
      });
      if (!Number.isFinite(loss)) throw new Error(`trainPatchStudent: step ${step + 1}: the loss is ${loss}; start again with a lower learning rate than ${peak}`);
      losses.push(loss);
      onStep(step + 1, loss);
    }
  } finally {
    optimizer.dispose();
  }
  return losses;
}

function makeOptimizer(engine: Engine, { vision, projectors }: PatchModel, peak: number): AdamW {
  const named = [...vision.namedParameters('vision'), ...(projectors?.namedParameters('projectors') ?? [])];
  // Norms, biases and gains (rank below 2) are not decayed, as is usual.
  const groups = named.map(([name, tensor]) => ({ parameters: [{ name, tensor }], learningRate: peak, weightDecay: tensor.rank < 2 ? 0 : WEIGHT_DECAY }));
  return new AdamW(engine, groups, OPTIMIZER);
}
