import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Engine, Tensor } from '../../../src/autograd/index.ts';
import { bytesAccess, openWeights } from '../../../src/data/index.ts';
import { Bert, BlankInitializer, loadBertWeights, parseBertConfig, type TextBatch, type WeightSource } from '../../../src/model/index.ts';
import { decodeSafetensors } from '../../../src/train/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

const folder = fileURLToPath(new URL('../../fixtures/model/bert/', import.meta.url));
const { text, vocabularySize } = parseBertConfig(readFileSync(`${folder}config.json`, 'utf8'), 'config.json');
const released: WeightSource = await openWeights(bytesAccess(new Uint8Array(readFileSync(`${folder}model.safetensors`))), 'model.safetensors');
const { tensors: outputs } = decodeSafetensors(readFileSync(`${folder}outputs.safetensors`), 'outputs.safetensors');
const expected = (name: string): Float32Array => outputs[name]!.data as Float32Array;

/** The same weights under other names. */
function renamed(source: WeightSource, rename: (name: string) => string): WeightSource {
  const names = new Map([...source.tensors.keys()].map((name) => [rename(name), name]));
  return { name: 'renamed', tensors: new Map([...names].map(([name, old]) => [name, source.tensors.get(old)!])), readFloat32: (name, range) => source.readFloat32(names.get(name)!, range) };
}

async function loaded(engine: Engine, source: WeightSource = released): Promise<Bert> {
  const bert = new Bert(new BlankInitializer(engine), text, vocabularySize);
  await loadBertWeights(bert, source);
  return bert;
}

function batchOf(name: string): TextBatch {
  const { shape, data } = outputs[`${name}.ids`]!;
  return { ids: Uint32Array.from(data as Uint32Array), lengths: outputs[`${name}.lengths`]!.data as Uint32Array, batch: shape[0]!, tokens: shape[1]! };
}

// The float64 reference of test/reference/bert.py in PyTorch, stored as f32. Three layers with LayerNorms of eps 1e-12: 1e-5 holds.
describe('Bert with the weights of a Hugging Face folder', () => {
  it.each(['many', 'three', 'single', 'full'])('gives the hidden states that PyTorch gives: %s', async (name) => {
    const engine = await testEngine();
    const bert = await loaded(engine);
    await engine.scope(async () => {
      const batch = batchOf(name);
      const states = await bert.hiddenStates(batch).toArray();
      expectClose(states, expected(`${name}.state${text.layers}`), 1e-5, 'last hidden state');
      const first = Float32Array.from({ length: batch.batch * text.width }, (_, at) => expected(`${name}.state${text.layers}`)[Math.floor(at / text.width) * batch.tokens * text.width + (at % text.width)]!);
      expectClose(await bert.forward(batch).toArray(), first, 1e-5, 'token 0');
    });
    bert.dispose();
  });

  it('gives the states that PyTorch gives after each single layer', async () => {
    const engine = await testEngine();
    const bert = await loaded(engine);
    await engine.scope(async () => {
      const { lengths, batch, tokens } = batchOf('many');
      const shape = [batch, tokens, text.width];
      const mask = engine.tensor(Float32Array.from({ length: batch * tokens }, (_, at) => (at % tokens < lengths[Math.floor(at / tokens)]! ? 0 : -1e9)), [batch, 1, 1, tokens]);
      for (const [index, layer] of bert.layers.entries()) {
        const input = engine.tensor(Float32Array.from(expected(`many.state${index}`)), shape);
        expectClose(await layer.forward(input, mask).toArray(), expected(`many.state${index + 1}`), 1e-5, `layer ${index}`);
      }
    });
    bert.dispose();
  });

  it('gives the gradients that PyTorch gives, of every weight', async () => {
    const engine = await testEngine();
    const bert = await loaded(engine);
    const ours = [...bert.namedParameters().values()];
    const { used } = await loadBertWeights(bert, released);
    await engine.scope(async () => {
      await bert.forward(batchOf('many')).backward(engine.tensor(Float32Array.from(expected('dY')), [4, text.width]));
      let largest = 0;
      for (const name of used) largest = Math.max(largest, ...expected(`gradient.${name.slice('bert.'.length)}`).map(Math.abs));
      for (const [index, name] of used.entries()) {
        const gradient = (await ours[index]!.grad!.toArray()) as Float32Array;
        const wanted = expected(`gradient.${name.slice('bert.'.length)}`);
        // The biases of the keys cancel in the softmax: their gradients are rounding errors of sums of the others' size.
        if (/key\.bias$/.test(name)) expect(Math.max(...gradient.map(Math.abs)) / largest).toBeLessThan(1e-5);
        else expectClose(gradient, wanted, 1e-4, name);
      }
    });
    bert.dispose();
  });

  it('does not let padding into the texts', async () => {
    const engine = await testEngine();
    const bert = await loaded(engine);
    await engine.scope(async () => {
      const { ids } = batchOf('three');
      const padded = (tokens: number, filler: number): TextBatch => ({ ids: Uint32Array.from({ length: tokens }, (_, at) => (at < 3 ? ids[at]! : filler)), lengths: [3], batch: 1, tokens });
      const alone = (await bert.forward(padded(3, 0)).toArray()) as Float32Array;
      for (const [tokens, filler] of [[4, 0], [17, 5], [63, 40]] as const) expectClose(await bert.forward(padded(tokens, filler)).toArray(), alone, 1e-6, `${tokens} tokens`);
      const longer = (await bert.forward({ ...padded(4, 5), lengths: [4] }).toArray()) as Float32Array;
      expect(() => expectClose(longer, alone, 1e-3)).toThrow('relative error');
    });
    bert.dispose();
  });

  it.each([
    ['without prefix', (name: string) => name.replace(/^bert\./, '')],
    ["behind CT-CLIP's prefix", (name: string) => name.replace(/^bert\./, 'text_transformer.')],
    ['with gamma and beta for the LayerNorms', (name: string) => name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')],
  ])('reads names %s', async (_, rename) => {
    const engine = await testEngine();
    const bert = await loaded(engine, renamed(released, rename));
    await engine.scope(async () => expectClose(await bert.hiddenStates(batchOf('three')).toArray(), expected('three.state3'), 1e-5));
    bert.dispose();
  });

  it("reads PyTorch's own file, with the old names", async () => {
    const engine = await testEngine();
    const bin: WeightSource = await openWeights(bytesAccess(new Uint8Array(readFileSync(`${folder}pytorch_model.bin`))), 'pytorch_model.bin');
    const bert = await loaded(engine, bin);
    await engine.scope(async () => expectClose(await bert.hiddenStates(batchOf('many')).toArray(), expected('many.state3'), 1e-5));
    bert.dispose();
  });

  it('reports what it used and what it left', async () => {
    const engine = await testEngine();
    const bert = new Bert(new BlankInitializer(engine), text, vocabularySize);
    const { prefix, used, unused } = await loadBertWeights(bert, released);
    expect(prefix).toBe('bert.');
    expect(used).toHaveLength(bert.namedParameters().size);
    expect(unused.sort()).toEqual(['bert.embeddings.position_ids', 'bert.pooler.dense.bias', 'bert.pooler.dense.weight', 'cls_projection_head.dense_to_hidden.weight']);
    bert.dispose();
  });

  it('refuses weights of another shape, missing ones, and files without a BERT, by name', async () => {
    const engine = await testEngine();
    const init = new BlankInitializer(engine);
    const wide = new Bert(init, { ...text, feedForward: 24 }, vocabularySize);
    await expect(loadBertWeights(wide, released)).rejects.toThrow('bert.encoder.layer.0.intermediate.dense.weight must be [24, 15], got [23, 15]');
    const deep = new Bert(init, { ...text, layers: 4 }, vocabularySize);
    await expect(loadBertWeights(deep, released)).rejects.toThrow('16 tensors are missing: bert.encoder.layer.3.attention.self.query.weight');
    await expect(loadBertWeights(deep, renamed(released, (name) => `x${name}`.replace('embeddings', 'e')))).rejects.toThrow('no tensor is named embeddings.word_embeddings.weight');
    wide.dispose();
    deep.dispose();
  });

  it('refuses texts longer than its positions', async () => {
    const engine = await testEngine();
    const bert = await loaded(engine);
    expect((): Tensor => bert.forward({ ids: new Uint32Array(65).fill(1), lengths: [65], batch: 1, tokens: 65 })).toThrow('65 tokens exceed 64 positions');
    bert.dispose();
  });
});
