/** One optimisation step of each stage. */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';
import type { CohortScan } from '../data/index.ts';
import { fastLoss, poolTaps, presets, type CtLite, type EncoderOutput, type Taps, type TextBatch } from '../model/index.ts';
import type { StageName, TrainConfig } from './config.ts';
import type { RunState } from './run-state.ts';
import { batchIndices, seededRandom, uniform } from './sampler.ts';
import { learningRate } from './schedule.ts';
import type { HostTaps, TeacherTargets } from './teacher-targets.ts';
import { drawTexts, tokenize, type StepTexts } from './texts.ts';
import type { VolumeStore } from './volumes.ts';

/** Everything of a step that comes from the CPU: drawn by (seed, stage, step) alone, so a resumed run draws the same. */
export interface StepInput {
  /** [B·D·Y·X] each; null where the stage does not use it. */
  raw: Float32Array<ArrayBuffer> | null;
  jpeg: Float32Array<ArrayBuffer> | null;
  /** Of a foreign teacher, where the run has one and the stage distils. */
  targets: HostTaps | null;
  texts: StepTexts | null;
  batch: number;
}

/** Values of a step's losses by name, `loss` the total; and the gradient norm before clipping. */
export interface StepResult {
  losses: Record<string, number>;
  gradientNorm: number;
  learningRate: number;
}

const stageSeeds: Record<StageName, number> = { teacher: 1, fast: 2, align: 3 };

/** What the input of a step is drawn from. */
export interface StepSource {
  scans: readonly CohortScan[];
  /** Of the sentences of these scans' reports. */
  frequencies: ReadonlyMap<string, number>;
  volumes: VolumeStore;
  /** Of the foreign teacher that `config.teacher` names. */
  targets?: TeacherTargets;
}

/** Draws and decodes the input of a step. */
export async function loadStep(config: TrainConfig, stage: StageName, step: number, { scans: train, frequencies, volumes, targets }: StepSource, hasTeacher: boolean): Promise<StepInput> {
  const seed = config.seed * 1000 + stageSeeds[stage];
  const batch = Math.min(config.batch, train.length);
  const scans = batchIndices(seed, step, batch, train.length).map((index) => train[index]!);
  const [low, high] = config.trainQuality;
  const qualities = scans.map((_, row) => Math.round(uniform(seededRandom(seed, step, row, 'quality'), low, high)));
  const distils = stage === 'fast' || (stage === 'align' && config.fastWeight > 0);
  const needsRaw = stage === 'teacher' || (distils && !targets && (hasTeacher || stage === 'fast'));
  return {
    batch,
    targets: distils && targets ? await targets.batch(scans) : null,
    raw: needsRaw ? await volumes.batch(scans, () => null) : null,
    jpeg: stage === 'teacher' ? null : await volumes.batch(scans, (row) => qualities[row]!),
    texts: stage === 'fast' ? null : drawTexts(scans, frequencies, config.text, seed, step),
  };
}

/** Runs forward, backward and the update; waits only for the values of the losses. */
export async function runStep(engine: Engine, state: RunState, stage: StageName, step: number, input: StepInput): Promise<StepResult> {
  const { config, optimizer } = state;
  const { steps, learningRate: peak } = config.stages[stage]!;
  const rate = learningRate(step, { peak, steps });
  return engine.scope(async () => {
    const texts = input.texts && (await readTexts(state, stage === 'teacher' ? state.teacher! : state.student!, input.texts));
    const { losses, recenter } = stageLosses(engine, state, stage, input, texts);
    await losses.loss!.backward();
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

/** The mean of fewer embeddings is too nearly each of them: what is left of one is zero, and of two each other's opposite. */
const leastToCenter = 4;
/** A batch's mean is a noisy guess of the cohort's: after the first step the bias follows it slowly. */
const centeringShare = 0.2;

interface ReadTexts {
  /** What `CtLite.encodeText` takes. */
  read: TextBatch | Tensor;
  matches: Uint8Array;
}

async function readTexts({ config, tokenizer }: RunState, model: CtLite, { texts, matches }: StepTexts): Promise<ReadTexts> {
  return { read: await model.readTexts(tokenize(tokenizer, texts, config.text.maxTokens)), matches };
}

interface StageLosses {
  /** `loss` is what is minimised; the rest its terms. */
  losses: Record<string, Tensor>;
  /** Run after the update; see CtLite.centerHeads. */
  recenter: () => unknown;
}

function stageLosses(engine: Engine, state: RunState, stage: StageName, input: StepInput, texts: ReadTexts | null): StageLosses {
  const { config, teacher, student } = state;
  const shape = [input.batch, 1, ...presets[config.preset].grid.shape];
  const upload = (values: Float32Array<ArrayBuffer>): Tensor => engine.tensor(values, shape);
  if (stage === 'teacher') {
    const { loss, recenter } = contrastive(state, teacher!, teacher!.encodeImage(upload(input.raw!)).embedding, texts!);
    return { losses: { loss }, recenter };
  }

  const target = input.targets ? uploadTargets(engine, state, input) : input.raw && teacher ? noGrad(() => engine.scope(() => teacher.vision.forward(upload(input.raw!)).taps)) : null;
  const output = stage === 'fast' ? student!.vision.forward(upload(input.jpeg!)) : student!.encodeImage(upload(input.jpeg!));
  const losses: Record<string, Tensor> = {};
  if (target) Object.assign(losses, distillation(state, output, target));
  if (stage === 'fast') return { losses: { loss: losses.fast!, ...losses }, recenter: () => {} };
  const { loss: sigLip, recenter } = contrastive(state, student!, (output as ReturnType<CtLite['encodeImage']>).embedding, texts!);
  const loss = target ? ops.add(sigLip, ops.mul(losses.fast!, config.fastWeight)) : sigLip;
  return { losses: { loss, sigLip, ...losses }, recenter };
}

function contrastive({ position }: RunState, model: CtLite, images: Tensor, { read, matches }: ReadTexts): { loss: Tensor; recenter: () => unknown } {
  const embeddings = model.encodeText(read);
  const loss = ops.sigLipLoss(images, embeddings, model.logScale, model.logitBias, { matches });
  const fresh = position.step === 0;
  const enough = images.shape[0]! >= leastToCenter && embeddings.shape[0]! >= leastToCenter;
  return { loss, recenter: () => (enough ? model.centerHeads(images, embeddings, fresh ? 1 : centeringShare) : undefined) };
}

function uploadTargets(engine: Engine, { config }: RunState, { targets, batch }: StepInput): Taps {
  const { grid, width } = config.teacher!;
  const upload = (values: Float32Array<ArrayBuffer>): Tensor => engine.tensor(values, [batch, grid[0] * grid[1] * grid[2], width]);
  return targets!.map(({ residual, features }) => ({ residual: upload(residual), features: upload(features) }));
}

function distillation({ config, student, projectors }: RunState, output: EncoderOutput, target: Taps): Record<string, Tensor> {
  const { grid } = student!.vision;
  const taps = poolTaps(output.taps, grid, config.teacher?.grid ?? grid);
  const { total, terms } = fastLoss({ student: taps, teacher: target, projectors: projectors!.taps }, { weights: config.fast });
  const weighed = Object.entries(terms).filter((entry): entry is [string, Tensor] => entry[1] !== null);
  // The terms before their sum: the first that is not finite is the cause.
  return { ...Object.fromEntries(weighed), fast: total };
}
