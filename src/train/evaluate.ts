/** Zero-shot evaluation over the prompt pairs of the 18 labels (MODEL §1.6). */
import { noGrad, type Engine } from '../autograd/index.ts';
import { defaultPrompts, LABELS, UNLABELLED, type Cohort, type CohortScan, type PromptPair, type Tokenizer } from '../data/index.ts';
import type { ZeroShotModel } from '../model/index.ts';
import { bootstrapMetrics, type BootstrapOptions, type MetricIntervals } from './bootstrap.ts';
import { evaluateLabels, type EvaluationMetrics, type ScoredSplit } from './metrics.ts';
import { tokenize } from './texts.ts';
import { uploadVolumes, type VolumeValues } from './upload-volumes.ts';
import type { InputQuality, VolumeStore } from './volumes.ts';

export interface PromptEmbeddings {
  /** L2-normalised, [labels, latent] each. */
  present: Float32Array[];
  absent: Float32Array[];
  /** The factor on cosine similarities: exp(t') of CtLite, exp(temperature) of CT-CLIP. */
  scale: number;
}

/** Texts that go through the tower at once. */
const TEXT_BATCH = 32;

/** L2-normalised embeddings of texts, cut at `maxTokens`. */
export async function embedTexts(model: ZeroShotModel, tokenizer: Tokenizer, texts: readonly string[], maxTokens: number): Promise<Float32Array[]> {
  const { engine } = model.logScale;
  const all: Float32Array[] = [];
  for (let first = 0; first < texts.length; first += TEXT_BATCH) {
    const part = texts.slice(first, first + TEXT_BATCH);
    all.push(...(await engine.scope(async () => {
      const read = await model.readTexts(tokenize(tokenizer, part, maxTokens));
      return normalizedRows((await noGrad(() => model.encodeText(read)).toArray()) as Float32Array, part.length);
    })));
  }
  return all;
}

/** Encodes the two prompts of every label, once. */
export async function encodePrompts(model: ZeroShotModel, tokenizer: Tokenizer, prompts: readonly PromptPair[] = defaultPrompts(), maxTokens = 64): Promise<PromptEmbeddings> {
  const embeddings = await embedTexts(model, tokenizer, [...prompts.map(({ positive }) => positive), ...prompts.map(({ negative }) => negative)], maxTokens);
  return { present: embeddings.slice(0, prompts.length), absent: embeddings.slice(prompts.length), scale: Math.exp(await model.logScale.item()) };
}

/** Probability of each label: softmax over the logits of its two prompts. `embedding` is L2-normalised. */
export function scoreLabels(embedding: Float32Array, { present, absent, scale }: PromptEmbeddings): number[] {
  return present.map((prompt, label) => 1 / (1 + Math.exp(-scale * (dot(embedding, prompt) - dot(embedding, absent[label]!)))));
}

/** L2-normalised image embeddings of a batch [B·D·Y·X] of volumes. */
export async function embedVolumes(engine: Engine, model: ZeroShotModel, batch: VolumeValues, shape: readonly number[]): Promise<Float32Array[]> {
  const count = batch.length / shape.reduce((size, extent) => size * extent, 1);
  return engine.scope(async () => {
    const output = noGrad(() => model.encodeImage(uploadVolumes(engine, batch, [count, 1, ...shape])).embedding);
    return normalizedRows((await output.toArray()) as Float32Array, count);
  });
}

/**
 * The labelled scans that a run is evaluated on, those that thresholds are fitted on, and what the first are called. A threshold is never
 * fitted on the scans that it is measured on: where all scans train, there is none.
 */
export function evaluationScans({ scans, splitTooSmall }: Pick<Cohort, 'scans' | 'splitTooSmall'>): { test: CohortScan[]; validation: CohortScan[]; where: string } {
  const labelled = (split: string): CohortScan[] => scans.filter((scan) => scan.split === split && scan.labels);
  return splitTooSmall ? { test: labelled('train'), validation: [], where: 'the training scans' } : { test: labelled('test'), validation: labelled('validation'), where: 'the test split' };
}

export interface ScoreOptions {
  engine: Engine;
  model: ZeroShotModel;
  tokenizer: Tokenizer;
  volumes: VolumeStore;
  shape: readonly number[];
  quality: InputQuality;
  batch: number;
  onProgress?: (done: number) => void;
}

/** L2-normalised image embeddings of scans: each volume is encoded once, whatever is asked of it later. */
export async function embedScans(scans: readonly CohortScan[], options: Omit<ScoreOptions, 'tokenizer'>): Promise<Float32Array[]> {
  const { engine, model, volumes, shape, quality, batch } = options;
  const all: Float32Array[] = [];
  const load = (first: number): Promise<VolumeValues> => volumes.batch(scans.slice(first, first + batch), quality);
  let next = load(0);
  for (let first = 0; first < scans.length; first += batch) {
    const input = await next;
    next = load(first + batch);
    next.catch(() => {}); // awaited in the next round; until then a failure must not count as unhandled
    all.push(...(await embedVolumes(engine, model, input, shape)));
    options.onProgress?.(all.length);
  }
  return all;
}

/** Scores of embedded scans over the prompted labels beside their truths, row-major [scans, labels]. */
export function scoreEmbeddings(scans: readonly CohortScan[], embeddings: readonly Float32Array[], prompts: PromptEmbeddings, labels: readonly string[] = LABELS): ScoredSplit {
  const columns = labels.map((label) => LABELS.findIndex((each) => each === label));
  return {
    scores: Float64Array.from(embeddings.flatMap((embedding) => scoreLabels(embedding, prompts))),
    truths: Uint8Array.from(scans.flatMap(({ labels: truths }) => columns.map((column) => truths?.[column] ?? UNLABELLED))),
  };
}

/** Scores of every scan over the 18 labels, row-major [scans, labels], beside their truths. */
export async function scoreScans(scans: readonly CohortScan[], options: ScoreOptions): Promise<ScoredSplit> {
  const prompts = await encodePrompts(options.model, options.tokenizer);
  return scoreEmbeddings(scans, await embedScans(scans, options), prompts);
}

export interface Evaluation {
  metrics: EvaluationMetrics;
  intervals: MetricIntervals;
}

/** Metrics on `test` with thresholds from `validation`, and patient-level bootstrap intervals of every figure. */
export function evaluateSplit(validation: ScoredSplit, test: ScoredSplit, patientIds: readonly string[], bootstrap: BootstrapOptions, testName = 'the test split', labels: readonly string[] = LABELS): Evaluation {
  const metrics = evaluateLabels(labels, validation, test, testName);
  return { metrics, intervals: bootstrapMetrics(labels.length, test, patientIds, metrics.labels.map(({ threshold }) => threshold), bootstrap) };
}

/** Splits [count, length] into rows, each divided by its L2 norm. */
export function normalizedRows(values: Float32Array, count: number): Float32Array[] {
  const length = values.length / count;
  return Array.from({ length: count }, (_, row) => normalized(values.slice(row * length, (row + 1) * length)));
}

function normalized(vector: Float32Array): Float32Array {
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / Math.max(norm, 1e-12));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

