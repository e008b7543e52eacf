/** Zero-shot evaluation over the prompt pairs of the 18 labels (MODEL §1.6). */
import { noGrad, type Engine } from '../autograd/index.ts';
import { labelPrompts, LABELS, type CohortScan, type Tokenizer } from '../data/index.ts';
import type { CtLite } from '../model/index.ts';
import { bootstrapAuroc, type AurocIntervals } from './bootstrap.ts';
import { evaluateLabels, UNLABELLED, type EvaluationMetrics, type ScoredSplit } from './metrics.ts';
import { tokenize } from './texts.ts';
import type { VolumeStore } from './volumes.ts';

export interface PromptEmbeddings {
  /** L2-normalised, [labels, latent] each. */
  present: Float32Array[];
  absent: Float32Array[];
  /** exp(t'), the factor on cosine similarities. */
  scale: number;
}

/** Encodes "X is present." and "X is not present." of every label, once. */
export async function encodePrompts(model: CtLite, tokenizer: Tokenizer, labels: readonly string[] = LABELS, maxTokens = 64): Promise<PromptEmbeddings> {
  const { engine } = model.logScale;
  const pairs = labels.map((label) => labelPrompts(label));
  const texts = [...pairs.map(({ positive }) => positive), ...pairs.map(({ negative }) => negative)];
  const embeddings = await engine.scope(async () => {
    const output = noGrad(() => model.encodeText(tokenize(tokenizer, texts, maxTokens)));
    return normalizedRows((await output.toArray()) as Float32Array, texts.length);
  });
  const scale = Math.exp(await model.logScale.item());
  return { present: embeddings.slice(0, labels.length), absent: embeddings.slice(labels.length), scale };
}

/** Probability of each label: softmax over the logits of its two prompts. `embedding` is L2-normalised. */
export function scoreLabels(embedding: Float32Array, { present, absent, scale }: PromptEmbeddings): number[] {
  return present.map((prompt, label) => 1 / (1 + Math.exp(-scale * (dot(embedding, prompt) - dot(embedding, absent[label]!)))));
}

/** L2-normalised image embeddings of a batch [B·D·Y·X] of volumes. */
export async function embedVolumes(engine: Engine, model: CtLite, batch: Float32Array<ArrayBuffer>, shape: readonly number[]): Promise<Float32Array[]> {
  const count = batch.length / shape.reduce((size, extent) => size * extent, 1);
  return engine.scope(async () => {
    const output = noGrad(() => model.encodeImage(engine.tensor(batch, [count, 1, ...shape])).embedding);
    return normalizedRows((await output.toArray()) as Float32Array, count);
  });
}

export interface ScoreOptions {
  engine: Engine;
  model: CtLite;
  tokenizer: Tokenizer;
  volumes: VolumeStore;
  shape: readonly number[];
  /** JPEG quality of the input, or null for uncompressed. */
  quality: number | null;
  batch: number;
  onProgress?: (done: number) => void;
}

/** Scores of every scan over the labels, row-major [scans, labels], beside their truths. */
export async function scoreScans(scans: readonly CohortScan[], options: ScoreOptions): Promise<ScoredSplit> {
  const { engine, model, tokenizer, volumes, shape, quality, batch } = options;
  const prompts = await encodePrompts(model, tokenizer);
  const scores = new Float64Array(scans.length * LABELS.length);
  const truths = new Uint8Array(scans.length * LABELS.length).fill(UNLABELLED);
  let next = volumes.batch(scans.slice(0, batch), () => quality);
  for (let first = 0; first < scans.length; first += batch) {
    const group = scans.slice(first, first + batch);
    const input = await next;
    next = volumes.batch(scans.slice(first + batch, first + 2 * batch), () => quality);
    next.catch(() => {}); // awaited in the next round; until then a failure must not count as unhandled
    const embeddings = await embedVolumes(engine, model, input, shape);
    group.forEach((scan, row) => {
      scores.set(scoreLabels(embeddings[row]!, prompts), (first + row) * LABELS.length);
      if (scan.labels) truths.set(scan.labels, (first + row) * LABELS.length);
    });
    options.onProgress?.(first + group.length);
  }
  return { scores, truths };
}

export interface Evaluation {
  metrics: EvaluationMetrics;
  intervals: AurocIntervals;
}

/** Metrics on `test` with thresholds from `validation`, and patient-level bootstrap intervals. */
export function evaluateSplit(validation: ScoredSplit, test: ScoredSplit, testScans: readonly CohortScan[], seed: number, testName = 'the test split'): Evaluation {
  return {
    metrics: evaluateLabels(LABELS, validation, test, testName),
    intervals: bootstrapAuroc(LABELS.length, test, testScans.map(({ patientId }) => patientId), { seed }),
  };
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

