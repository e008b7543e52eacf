/**
 * One training step of CT-Lite's tiny preset: both towers with their SFP heads, SigLIP, backward, clipping, AdamW. Written once over
 * the few operations that jax-js and TensorFlow.js share, with our parameters under our names, so that all compute the same.
 */
import { product, randomArray } from '../../test/support/arrays.ts';

/** What a peer's library has to offer; arrays are its own. Nothing is consumed. */
export interface MathLibrary<T> {
  add(a: T, b: T | number): T;
  sub(a: T, b: T | number): T;
  mul(a: T, b: T | number): T;
  div(a: T, b: T): T;
  matmul(a: T, b: T): T;
  transpose(x: T, axes: number[]): T;
  reshape(x: T, shape: number[]): T;
  /** Rows `from` to `to` of an axis. */
  slice(x: T, axis: number, from: number, to: number): T;
  softmax(x: T): T;
  gelu(x: T): T;
  relu(x: T): T;
  softplus(x: T): T;
  exp(x: T): T;
  sqrt(x: T): T;
  square(x: T): T;
  /** Over the last axis, kept; over all axes. */
  meanLast(x: T): T;
  sumLast(x: T): T;
  sumAll(x: T): T;
  /** Channels last in and out, weight as PyTorch's. */
  conv3d(x: T, weight: T, stride: [number, number, number], padding: number): T;
  /** Rows of a table by the step's token ids. */
  tokens(table: T): T;
}

export const step = { batch: 8, texts: 36, tokens: 8, vocabulary: 64, width: 64, textWidth: 96, latent: 64, heads: 4, tokenGrid: [4, 8, 8] };
export const optimizer = { learningRate: 1e-3, betas: [0.9, 0.98] as const, eps: 1e-8, weightDecay: 0.05, clip: 1 };

const { batch, texts, tokens, width, textWidth, latent, heads } = step;
const [t, h, w] = step.tokenGrid as [number, number, number];
const rank = 4;
const [m0, n0, n1] = [16, 4, 16];

/** The parameters of CtLite's tiny preset by name. */
export function parameterShapes(): Record<string, number[]> {
  const shapes: Record<string, number[]> = {};
  const linear = (name: string, from: number, to: number): void => void Object.assign(shapes, { [`${name}.weight`]: [to, from], [`${name}.bias`]: [to] });
  const norm = (name: string, size: number): void => void Object.assign(shapes, { [`${name}.weight`]: [size], [`${name}.bias`]: [size] });
  const head = (name: string, size: number): void =>
    void Object.assign(shapes, { [`${name}.core0`]: [size / m0, m0, n0 * rank], [`${name}.core1`]: [n0, (size / m0) * rank, n1], [`${name}.gamma0`]: [1], [`${name}.gamma1`]: [1], [`${name}.bias`]: [latent] });
  Object.assign(shapes, { 'vision.stem1.weight': [16, 1, 2, 4, 4], 'vision.stem1.bias': [16], 'vision.stem2.weight': [width, 16, 3, 3, 3], 'vision.stem2.bias': [width] });
  norm('vision.stem1.norm', 16);
  norm('vision.stem2.norm', width);
  Object.assign(shapes, { 'vision.positions.t': [t, 1, 1, width], 'vision.positions.h': [1, h, 1, width], 'vision.positions.w': [1, 1, w, width] });
  for (const block of ['vision.spatial.0', 'vision.temporal.0']) {
    norm(`${block}.norm1`, width);
    linear(`${block}.qkv`, width, 3 * width);
    linear(`${block}.out`, width, width);
    norm(`${block}.norm2`, width);
    linear(`${block}.mlp1`, width, 2 * width);
    linear(`${block}.mlp2`, 2 * width, width);
  }
  norm('vision.spatialNorm', width);
  norm('vision.temporalNorm', width);
  linear('vision.pool.score', width, heads);
  linear('vision.pool.out', width, width);
  Object.assign(shapes, { 'text.wordEmbeddings': [step.vocabulary, textWidth], 'text.positionEmbeddings': [256, textWidth], 'text.tokenTypeEmbeddings': [2, textWidth] });
  norm('text.embeddingsNorm', textWidth);
  for (const layer of ['text.layers.0', 'text.layers.1']) {
    for (const name of ['query', 'key', 'value', 'attentionOutput']) linear(`${layer}.${name}`, textWidth, textWidth);
    norm(`${layer}.attentionNorm`, textWidth);
    linear(`${layer}.intermediate`, textWidth, 2 * textWidth);
    linear(`${layer}.output`, 2 * textWidth, textWidth);
    norm(`${layer}.outputNorm`, textWidth);
  }
  head('imageHead', width);
  head('textHead', textWidth);
  return Object.assign(shapes, { logScale: [1], logitBias: [1] });
}

/** Seeded values of the usual sizes: gains about 1, matrices by their fan-in. */
export function parameterValues(): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries(
    Object.entries(parameterShapes()).map(([name, shape], index) => {
      const isGain = /[nN]orm\d?\.weight$|gamma/.test(name);
      const fanIn = shape.length > 1 ? product(shape.slice(1)) : 100;
      const shift = name === 'logScale' ? Math.log(10) : name === 'logitBias' ? -2 : isGain ? 1 : 0;
      return [name, Float32Array.from(randomArray(product(shape), index + 100, { scale: isGain ? 0.1 : Math.sqrt(1 / fanIn), shift }))];
    }),
  );
}

export interface StepData {
  /** [B, D, Y, X, 1]: one channel, so first and last are the same. */
  volumes: Float32Array<ArrayBuffer>;
  ids: Uint32Array<ArrayBuffer>;
  /** [B, texts], +1 where they belong together, else −1. */
  signs: Float32Array<ArrayBuffer>;
}

export const volumeShape = [batch, 16, 64, 64, 1];

export function stepData(): StepData {
  return {
    volumes: Float32Array.from(randomArray(product(volumeShape), 1)),
    ids: Uint32Array.from({ length: texts * tokens }, (_, i) => (i * 7 + Math.floor(i / tokens)) % step.vocabulary),
    signs: Float32Array.from({ length: batch * texts }, (_, at) => ((Math.floor(at / texts) + at) % 3 === 0 ? 1 : -1)),
  };
}

/** The loss of the step. */
export function stepLoss<T>(m: MathLibrary<T>, p: Record<string, T>, volumes: T, signs: T): T {
  const images = normalize(m, sfp(m, p, 'imageHead', encodeVolumes(m, p, volumes), width));
  const sentences = normalize(m, sfp(m, p, 'textHead', encodeTexts(m, p), textWidth));
  const logits = m.add(m.mul(m.matmul(images, m.transpose(sentences, [1, 0])), m.exp(p.logScale!)), p.logitBias!);
  return m.mul(m.sumAll(m.softplus(m.mul(m.mul(signs, logits), -1))), 1 / batch);
}

function encodeVolumes<T>(m: MathLibrary<T>, p: Record<string, T>, volumes: T): T {
  const stem = (x: T, name: string, stride: [number, number, number], padding: number): T => norm(m, p, `${name}.norm`, m.add(m.conv3d(x, p[`${name}.weight`]!, stride, padding), p[`${name}.bias`]!));
  const first = m.gelu(stem(volumes, 'vision.stem1', [2, 4, 4], 0));
  const placed = m.add(stem(first, 'vision.stem2', [2, 2, 2], 1), m.add(m.add(p['vision.positions.t']!, p['vision.positions.h']!), p['vision.positions.w']!));
  const spatial = norm(m, p, 'vision.spatialNorm', block(m, p, 'vision.spatial.0', m.reshape(placed, [batch * t, h * w, width]), batch * t, h * w));
  const columns = m.reshape(m.transpose(m.reshape(spatial, [batch, t, h * w, width]), [0, 2, 1, 3]), [batch * h * w, t, width]);
  const temporal = block(m, p, 'vision.temporal.0', columns, batch * h * w, t);
  const features = norm(m, p, 'vision.temporalNorm', m.reshape(m.transpose(m.reshape(temporal, [batch, h * w, t, width]), [0, 2, 1, 3]), [batch, t * h * w, width]));
  const attention = m.softmax(m.transpose(linear(m, p, 'vision.pool.score', features, [batch, t * h * w]), [0, 2, 1]));
  const values = splitHeads(m, features, batch, t * h * w, width);
  const mixed = m.matmul(m.reshape(attention, [batch, heads, 1, t * h * w]), values);
  return linear(m, p, 'vision.pool.out', m.reshape(mixed, [batch, width]), [batch]);
}

function encodeTexts<T>(m: MathLibrary<T>, p: Record<string, T>): T {
  const places = m.add(m.slice(p['text.positionEmbeddings']!, 0, 0, tokens), m.slice(p['text.tokenTypeEmbeddings']!, 0, 0, 1));
  let stream = norm(m, p, 'text.embeddingsNorm', m.add(m.reshape(m.tokens(p['text.wordEmbeddings']!), [texts, tokens, textWidth]), places), 1e-12);
  const lead = [texts, tokens];
  for (const layer of ['text.layers.0', 'text.layers.1']) {
    const [q, k, v] = ['query', 'key', 'value'].map((name) => splitHeads(m, linear(m, p, `${layer}.${name}`, stream, lead), texts, tokens, textWidth)) as [T, T, T];
    const attended = mergeHeads(m, attention(m, q, k, v, textWidth / heads), texts, tokens, textWidth);
    const middle = norm(m, p, `${layer}.attentionNorm`, m.add(stream, linear(m, p, `${layer}.attentionOutput`, attended, lead)), 1e-12);
    const hidden = m.gelu(linear(m, p, `${layer}.intermediate`, middle, lead));
    stream = norm(m, p, `${layer}.outputNorm`, m.add(middle, linear(m, p, `${layer}.output`, hidden, lead)), 1e-12);
  }
  return m.reshape(m.slice(stream, 1, 0, 1), [texts, textWidth]);
}

function block<T>(m: MathLibrary<T>, p: Record<string, T>, name: string, x: T, rows: number, count: number): T {
  const turned = m.transpose(m.reshape(linear(m, p, `${name}.qkv`, norm(m, p, `${name}.norm1`, x), [rows, count]), [rows, count, 3, heads, width / heads]), [2, 0, 3, 1, 4]);
  const packed = m.reshape(turned, [3, rows * count * width]);
  const part = (index: number): T => m.reshape(m.slice(packed, 0, index, index + 1), [rows, heads, count, width / heads]);
  const attended = m.add(x, linear(m, p, `${name}.out`, mergeHeads(m, attention(m, part(0), part(1), part(2), width / heads), rows, count, width), [rows, count]));
  const hidden = m.gelu(linear(m, p, `${name}.mlp1`, norm(m, p, `${name}.norm2`, attended), [rows, count]));
  return m.add(attended, linear(m, p, `${name}.mlp2`, hidden, [rows, count]));
}

function attention<T>(m: MathLibrary<T>, q: T, k: T, v: T, headDim: number): T {
  return m.matmul(m.softmax(m.mul(m.matmul(q, m.transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(headDim))), v);
}

function splitHeads<T>(m: MathLibrary<T>, x: T, rows: number, count: number, size: number): T {
  return m.transpose(m.reshape(x, [rows, count, heads, size / heads]), [0, 2, 1, 3]);
}

function mergeHeads<T>(m: MathLibrary<T>, x: T, rows: number, count: number, size: number): T {
  return m.reshape(m.transpose(x, [0, 2, 1, 3]), [rows, count, size]);
}

/** Rows in one matrix: one product whatever the leading axes. */
function linear<T>(m: MathLibrary<T>, p: Record<string, T>, name: string, x: T, lead: number[]): T {
  const [to, from] = shapes[`${name}.weight`] as [number, number];
  const y = m.add(m.matmul(m.reshape(x, [product(lead), from]), m.transpose(p[`${name}.weight`]!, [1, 0])), p[`${name}.bias`]!);
  return m.reshape(y, [...lead, to]);
}

function norm<T>(m: MathLibrary<T>, p: Record<string, T>, name: string, x: T, eps = 1e-5): T {
  const centred = m.sub(x, m.meanLast(x));
  const deviation = m.sqrt(m.add(m.meanLast(m.square(centred)), eps));
  return m.add(m.mul(m.div(centred, deviation), p[`${name}.weight`]!), p[`${name}.bias`]!);
}

function normalize<T>(m: MathLibrary<T>, x: T): T {
  return m.div(x, m.sqrt(m.sumLast(m.square(x))));
}

/** Block Tensor Train of two cores (MODEL §2) with its bias. */
function sfp<T>(m: MathLibrary<T>, p: Record<string, T>, name: string, x: T, size: number): T {
  const rows = size === width ? batch : texts;
  const m1 = size / m0;
  const core = (index: 0 | 1): T => {
    const [fanIn, fanOut] = index === 0 ? [m0, n0 * rank] : [m1 * rank, n1];
    const deviation = Math.sqrt(1 / fanIn) * Math.min(1, Math.sqrt(fanOut / fanIn));
    const raw = p[`${name}.core${index}`]!;
    const count = product(shapes[`${name}.core${index}`]!);
    const ratio = m.mul(m.sqrt(m.mul(m.sumAll(m.square(raw)), 1 / count)), 1 / deviation);
    return m.mul(raw, m.div(p[`${name}.gamma${index}`]!, m.add(m.relu(m.sub(ratio, 1)), 1)));
  };
  const first = m.matmul(m.transpose(m.reshape(x, [rows, m1, m0]), [1, 0, 2]), core(0)); // [m1, rows, n0·r]
  const middle = m.reshape(m.transpose(m.reshape(first, [m1, rows, n0, rank]), [2, 1, 0, 3]), [n0, rows, m1 * rank]);
  const second = m.matmul(middle, core(1)); // [n0, rows, n1]
  return m.add(m.reshape(m.transpose(second, [1, 0, 2]), [rows, latent]), p[`${name}.bias`]!);
}

const shapes = parameterShapes();

/** What a peer reports of its first step, for the comparison: the loss, and gradients from all over the model. */
export const comparedGradients = ['vision.stem1.weight', 'vision.stem2.norm.weight', 'vision.spatial.0.qkv.weight', 'vision.pool.score.weight', 'text.wordEmbeddings', 'text.layers.1.output.bias', 'imageHead.core0', 'textHead.core1', 'logScale'];
