/** The losses of each stage. */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import { fastLoss, poolTaps, presets, type CtLite, type EncoderOutput, type Taps, type TextBatch } from '../model/index.ts';
import { fastOptions, type StageName } from './config.ts';
import type { RunState } from './run-state.ts';
import type { HostTaps } from './teacher-targets.ts';
import { tokenize } from './texts.ts';
import { uploadGrey, uploadVolumes, type VolumeValues } from './upload-volumes.ts';

/**
 * Decoded volumes [size·D·Y·X] of a step or a part of it, `raw` as grey levels where the scans are stored as JPEG; null where the stage
 * does not use them.
 */
export interface StepVolumes {
  size: number;
  raw: VolumeValues | null;
  /** The student's: grey levels, or values where it reads uncompressed volumes. */
  input: VolumeValues | null;
  /** Of a foreign teacher, where the run has one and the stage distils. */
  targets: HostTaps | null;
}

/**
 * Smaller batches are not centred, by design [O]: the mean of so few embeddings is too nearly each of them. What is left of one is
 * zero, and of two each other's opposite. So a batch of 1 to 3 (preset `base` has 2 by default), or a batch with fewer texts, trains
 * with the biases that the optimiser gives the heads. A virtual batch counts as a whole.
 */
const leastToCenter = 4;
/** A batch's mean is a noisy guess of the cohort's: after the first step the bias follows it slowly. */
const centeringShare = 0.2;

export interface StageLosses {
  /** `loss` is what is minimised; the rest its terms. */
  losses: Record<string, Tensor>;
  /** Run after the update; see CtLite.centerHeads. */
  recenter: () => unknown;
}

export interface ReadTexts {
  /** What `CtLite.encodeText` takes. */
  read: TextBatch | Tensor;
  /** [volumes, texts], 1 where a text is true of the volume. */
  matches: Uint8Array;
}

/** Token ids of texts, or what a frozen tower gives of them. */
export function readTexts({ config, tokenizer }: RunState, model: CtLite, texts: readonly string[]): Promise<TextBatch | Tensor> {
  return model.readTexts(tokenize(tokenizer, [...texts], config.text.maxTokens));
}

/** The losses of a whole batch, with a tape. `texts` is null in stage `fast`. */
export function stageLosses(engine: Engine, state: RunState, stage: StageName, volumes: StepVolumes, texts: ReadTexts | null): StageLosses {
  const { embedding, distilled } = encodeVolumes(engine, state, stage, volumes);
  if (stage === 'fast') return { losses: { loss: distilled!.fast!, ...distilled }, recenter: () => {} };
  const model = trainedModel(state, stage);
  const { loss: sigLip, recenter } = contrast(state, stage, embedding!, model.encodeText(texts!.read), texts!.matches);
  if (stage === 'teacher') return { losses: { loss: sigLip }, recenter };
  const loss = distilled ? ops.add(sigLip, ops.mul(distilled.fast!, state.config.fastWeight)) : sigLip;
  return { losses: { loss, sigLip, ...distilled }, recenter };
}

/** The model that a stage trains. */
export function trainedModel({ teacher, student }: RunState, stage: StageName): CtLite {
  return stage === 'teacher' ? teacher! : student!;
}

export interface EncodedVolumes {
  /** Of the images [B, latent]; null in stage `fast`. */
  embedding: Tensor | null;
  /** FAST's terms and `fast`, their weighted sum; null where nothing is distilled. */
  distilled: Record<string, Tensor> | null;
}

/**
 * Runs the encoder that the stage trains and, where FAST is part of the stage, the frozen teacher on the uncompressed volumes. What is not
 * returned goes at once, but for what the tape saved.
 */
export function encodeVolumes(engine: Engine, state: RunState, stage: StageName, { size, raw, input, targets }: StepVolumes, { distil = true } = {}): EncodedVolumes {
  const { config, teacher } = state;
  const shape = [size, 1, ...presets[config.preset].grid.shape];
  const upload = (values: VolumeValues): Tensor => uploadVolumes(engine, values, shape, config.precision);
  const model = trainedModel(state, stage);
  return engine.scope(() => {
    if (stage === 'teacher') return { embedding: model.encodeImage(upload(raw!)).embedding, distilled: null };
    const ownTaps = (): Taps | null => (raw && teacher ? noGrad(() => engine.scope(() => teacher.vision.forward(upload(raw)).taps)) : null);
    const target = !distil ? null : targets ? uploadTargets(engine, state, targets, size) : ownTaps();
    const widensInSlabs = (config.measures?.stemSlabs ?? 1) > 1 && input instanceof Uint8Array;
    const images = widensInSlabs ? uploadGrey(engine, input, shape) : upload(input!);
    const output = stage === 'fast' ? { ...model.vision.forward(images), embedding: null } : model.encodeImage(images);
    return { embedding: output.embedding, distilled: target && distillation(state, output, target) };
  });
}

/** SigLIP between all volumes [B, latent] and all texts [J, latent] of a step. */
export function contrast(state: RunState, stage: StageName, images: Tensor, embeddings: Tensor, matches: Uint8Array): { loss: Tensor; recenter: () => unknown } {
  const { config, position, teacher } = state;
  const model = trainedModel(state, stage);
  const loss = ops.sigLipLoss(images, embeddings, model.logScale, model.logitBias, { matches });
  // A student with its teacher's weights is centred already; the mean of one batch would turn it away again.
  const centered = model !== teacher && teacher !== null && config.studentFromTeacher;
  const fresh = position.step === 0 && !centered;
  const enough = images.shape[0]! >= leastToCenter && embeddings.shape[0]! >= leastToCenter;
  return { loss, recenter: () => (enough ? model.centerHeads(images, embeddings, fresh ? 1 : centeringShare) : undefined) };
}

function uploadTargets(engine: Engine, { config }: RunState, targets: HostTaps, size: number): Taps {
  const { grid, width } = config.teacher!;
  const upload = (values: Float32Array<ArrayBuffer>): Tensor => engine.tensor(values, [size, grid[0] * grid[1] * grid[2], width]);
  return targets.map(({ residual, features }) => ({ residual: upload(residual), features: upload(features) }));
}

function distillation({ config, student, projectors }: RunState, output: EncoderOutput, target: Taps): Record<string, Tensor> {
  const { grid } = student!.vision;
  const taps = poolTaps(output.taps, grid, config.teacher?.grid ?? grid);
  const { total, terms } = fastLoss({ student: taps, teacher: target, projectors: projectors!.taps }, fastOptions(config));
  const weighed = Object.entries(terms).filter((entry): entry is [string, Tensor] => entry[1] !== null);
  // The terms before their sum: the first that is not finite is the cause.
  return { ...Object.fromEntries(weighed), fast: total };
}
