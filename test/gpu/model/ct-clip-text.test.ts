import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { bytesAccess, openWeights, type TensorFile } from '../../../src/data/index.ts';
import { CtClipBaseline, inferBertConfig, loadCtClip, type CtClip, type CtClipOptions, type TextBatch, type WeightSource } from '../../../src/model/index.ts';
import { scoreLabels } from '../../../src/train/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

/** Both towers at sizes of which no two are alike, with three volumes, ten texts padded to 17 tokens, and the scores (PyTorch, f64). */
const whole = (): Promise<TensorFile> => openWeights(bytesAccess(new Uint8Array(readFileSync(new URL('../../fixtures/model/ct-clip-whole.safetensors', import.meta.url)))), 'whole');
const heads = 3;
const patch = [1, 2, 3] as const;

const models: CtClip[] = [];
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

async function load(source: WeightSource, options: CtClipOptions = { patch, text: { heads } }): Promise<CtClip> {
  const model = await loadCtClip(await testEngine(), source, options);
  models.push(model);
  return model;
}

/** The fixture's texts, padded to `tokens`: all 17, as CT-CLIP pads to 512, or fewer. */
async function texts(file: TensorFile, rows: number[], tokens: number): Promise<TextBatch> {
  const [ids, lengths] = [await file.readFloat32('io.ids'), await file.readFloat32('io.lengths')];
  return { ids: Uint32Array.from(rows.flatMap((row) => [...ids.subarray(row * 17, row * 17 + tokens)])), lengths: rows.map((row) => lengths[row]!), batch: rows.length, tokens };
}

describe('CtClip.encodeText', () => {
  const all = Array.from({ length: 10 }, (_, row) => row);

  // Tolerance: f32 sums in another order through two layers stay near 1e-6.
  it('agrees with PyTorch, and so do logits and zero-shot scores', async () => {
    const file = await whole();
    const model = await load(file);
    const engine = await testEngine();
    await engine.scope(async () => {
      const textLatents = model.encodeText(await texts(file, all, 17));
      expectClose(await textLatents.toArray(), await file.readFloat32('io.text_latents'), 1e-5, 'text latents');
      const { latent } = model.encode(engine.tensor(await file.readFloat32('io.video'), file.tensors.get('io.video')!.shape));
      const logits = model.logits(latent, textLatents);
      expectClose(await logits.toArray(), await file.readFloat32('io.logits'), 1e-5, 'logits');
      const wanted = await file.readFloat32('io.scores');
      const pairs = (await ops.softmax(ops.reshape(logits, [3, 5, 2])).toArray()).filter((_, at) => at % 2 === 0);
      expectClose(pairs, wanted, 1e-5, 'softmax over each pair');

      const [rows, volumes] = [await textLatents.toArray(), await latent.toArray()] as [Float32Array, Float32Array];
      const prompt = (odd: number): Float32Array[] => all.filter((row) => row % 2 === odd).map((row) => rows.slice(row * 5, row * 5 + 5));
      const prompts = { present: prompt(0), absent: prompt(1), scale: Math.exp(await new CtClipBaseline(model, { input: { shape: [0, 0, 0], spacingMm: [1, 1, 1] } }).logScale.item()) };
      expectClose([0, 1, 2].flatMap((volume) => scoreLabels(volumes.slice(volume * 5, volume * 5 + 5), prompts)), wanted, 1e-5, 'the scores of the protocol');
    });
  });

  it('gives the same for shorter padding', async () => {
    const file = await whole();
    const model = await load(file);
    await (await testEngine()).scope(async () => {
      const latents = await file.readFloat32('io.text_latents');
      const short = [0, 1, 3, 5, 7];
      expectClose(await model.encodeText(await texts(file, short, 5)).toArray(), short.flatMap((row) => [...latents.subarray(row * 5, row * 5 + 5)]), 1e-5);
      expect(() => model.encodeText({ ids: new Uint32Array(18), lengths: [18], batch: 1, tokens: 18 })).toThrow('18 tokens exceed 17 positions');
    });
  });

  it('counts what the text tower took, and frees it with the model', async () => {
    const engine = await testEngine();
    const before = engine.memory.liveBuffers;
    const model = await loadCtClip(engine, await whole(), { patch, text: { heads } });
    expect(model.keys.textTower).toEqual(['text_transformer.pooler.dense.weight', 'text_transformer.pooler.dense.bias']);
    expect(model.keys.used).toEqual(expect.arrayContaining(['text_transformer.encoder.layer.1.output.LayerNorm.bias', 'to_text_latent.weight', 'temperature']));
    expect(model.keys.unused).toContain('to_text_latent_extra.weight');
    model.dispose();
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  });

  it('without the option leaves the tower in the file, and says so when it is asked', async () => {
    const model = await load(await whole(), { patch });
    expect(model.bert).toBeNull();
    expect(model.keys.textTower).toHaveLength(39);
    expect(() => model.encodeText({ ids: new Uint32Array(1), lengths: [1], batch: 1, tokens: 1 })).toThrow('loaded without its text tower; pass loadCtClip { text: true }');
  });

  /** The fixture with some tensors left out or of another shape. */
  async function changed(change: (tensors: Map<string, { dtype: string; shape: readonly number[] }>) => void): Promise<WeightSource> {
    const file = await whole();
    const tensors = new Map(file.tensors);
    change(tensors);
    return { name: 'whole', tensors, readFloat32: (name, range) => file.readFloat32(name, range) };
  }

  it.each<[string, (tensors: Map<string, { dtype: string; shape: readonly number[] }>) => void, string]>([
    ['no text tower', (tensors) => [...tensors.keys()].filter((name) => name.startsWith('text_transformer.')).forEach((name) => tensors.delete(name)), 'loadCtClip: whole: the file holds no text tower (tensor "text_transformer.embeddings.word_embeddings.weight" is missing); give a whole CT-CLIP checkpoint'],
    ['no projection of it', (tensors) => tensors.delete('to_text_latent.weight'), 'tensor "to_text_latent.weight" must be [5, 9], got none'],
    ['a projection for another width', (tensors) => tensors.set('to_text_latent.weight', { dtype: 'F32', shape: [5, 12] }), 'tensor "to_text_latent.weight" must be [5, 9], got [5, 12]'],
    ['no temperature', (tensors) => tensors.delete('temperature'), 'tensor "temperature" is missing'],
    ['a layer cut short', (tensors) => tensors.delete('text_transformer.encoder.layer.1.output.dense.bias'), '1 tensors are missing: text_transformer.encoder.layer.1.output.dense.bias'],
    ['no table of positions', (tensors) => tensors.delete('text_transformer.embeddings.position_embeddings.weight'), 'tensor "text_transformer.embeddings.position_embeddings.weight" must be a matrix, got none'],
  ])('refuses %s, and leaves nothing on the GPU', async (_, change, message) => {
    const engine = await testEngine();
    const before = engine.memory.liveBuffers;
    await expect(loadCtClip(engine, await changed(change), { patch, text: { heads } })).rejects.toThrow(message);
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  });
});

describe('inferBertConfig', () => {
  it('reads all sizes but the heads off the shapes', async () => {
    expect(inferBertConfig(await whole(), { heads, normEps: 1e-5 })).toEqual({ text: { width: 9, layers: 2, heads: 3, feedForward: 11, maxPositions: 17, tokenTypes: 2, normEps: 1e-5 }, vocabularySize: 29 });
    const base = new Map(Object.entries({ 'embeddings.word_embeddings.weight': [30522, 768], 'embeddings.position_embeddings.weight': [512, 768], 'embeddings.token_type_embeddings.weight': [2, 768], 'encoder.layer.0.intermediate.dense.weight': [3072, 768], 'encoder.layer.0.attention.self.query.weight': [768, 768] }).map(([name, shape]) => [name, { dtype: 'F32', shape }]));
    expect(inferBertConfig({ name: 'base', tensors: base, readFloat32: () => Promise.reject(new Error('nothing is to be read')) }).text).toMatchObject({ heads: 12, normEps: 1e-12 });
  });

  it('asks for the heads where they cannot be told', async () => {
    const file = await whole();
    expect(() => inferBertConfig(file)).toThrow('the shapes of a BERT of width 9 do not tell its heads; give num_attention_heads');
    expect(() => inferBertConfig(file, { heads: 4 })).toThrow('heads must divide the width 9, got 4');
  });
});

describe('CtClipBaseline', () => {
  it('turns CtLite\'s axes (S, P, L) into CT-CLIP\'s (S, L, P)', async () => {
    const file = await whole();
    const model = await load(file);
    const engine = await testEngine();
    const baseline = new CtClipBaseline(model, { input: { shape: [2, 9, 2], spacingMm: [1, 1, 1] } });
    await engine.scope(async () => {
      const [batch, , frames, rows, columns] = file.tensors.get('io.video')!.shape as [number, number, number, number, number];
      const video = await file.readFloat32('io.video');
      const turned = new Float32Array(video.length);
      for (let slab = 0; slab < batch * frames; slab++) for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[(slab * columns + c) * rows + r] = video[(slab * rows + r) * columns + c]!;
      const { embedding } = baseline.encodeImage(engine.tensor(turned, [batch, 1, frames, columns, rows]));
      expectClose(await embedding.toArray(), await file.readFloat32('io.latent'), 1e-5);
    });
  });

  it('takes only a model with its text tower', async () => {
    const model = await load(await whole(), { patch });
    expect(() => new CtClipBaseline(model, { input: { shape: [2, 9, 2], spacingMm: [1, 1, 1] } })).toThrow('must have its text tower');
  });
});
