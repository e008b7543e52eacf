import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { ops, type Engine, type Tensor } from '../../../src/autograd/index.ts';
import { bytesAccess, openWeights, type TensorFile } from '../../../src/data/index.ts';
import { loadCtClip, prefixed, type CtClip, type CtClipKeys, type CtClipOptions, type WeightSource } from '../../../src/model/index.ts';
import { SplitLinear } from '../../../src/model/layers/split-linear.ts';
import { Initializer } from '../../../src/model/module.ts';
import { expectClose, relativeError } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';

const fixture = (name: string): URL => new URL(`../../fixtures/model/${name}`, import.meta.url);
const goldenPath = '../shared/goldens/ctvit_a.safetensors';

const open = (path: string | URL, name = String(path)): Promise<TensorFile> => openWeights(bytesAccess(new Uint8Array(readFileSync(path))), name);

/** The last axes of quantised rows are codes: the same rows, to the bit. */
function expectSameRows(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) if (actual[i] !== expected[i]) throw new Error(`${what}: got ${actual[i]} at ${i}, expected ${expected[i]}`);
}

const models: CtClip[] = [];
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

async function load(engine: Engine, source: WeightSource, options?: CtClipOptions): Promise<CtClip> {
  const model = await loadCtClip(engine, source, options);
  models.push(model);
  return model;
}

const upload = async (engine: Engine, io: TensorFile, name = 'io.video'): Promise<Tensor> => engine.tensor(await io.readFloat32(name), io.tensors.get(name)!.shape);

/**
 * Compares `encode` with a run of the reference. Tolerance: 1e-4 is what is asked for; f32 sums in another order through a few layers
 * stay near 1e-6.
 */
async function expectEncoding(engine: Engine, model: CtClip, io: TensorFile, tolerance: number): Promise<void> {
  await engine.scope(async () => {
    const { patchTokens, encodedTokens, quantisedTokens, latent } = await model.encode(await upload(engine, io));
    for (const [name, tensor] of Object.entries({ patch_tokens: patchTokens, encoded_tokens: encodedTokens, latent })) {
      const expected = await io.readFloat32(`io.${name}`);
      expect(tensor.shape, name).toEqual(io.tensors.get(`io.${name}`)!.shape);
      expectClose(await tensor.toArray(), expected, tolerance, name);
    }
    expectSameRows(await quantisedTokens.toArray(), await io.readFloat32('io.quantised_tokens'), 'quantised tokens');
  });
}

describe('CtClip', () => {
  it.skipIf(!existsSync(goldenPath))('agrees with a run of the original code', async () => {
    const engine = await testEngine();
    const golden = await open(goldenPath);
    const model = await load(engine, golden);
    await expectEncoding(engine, model, golden, 1e-5);
    expect(model.vision.config).toEqual({ width: 32, heads: 4, headDim: 8, feedForward: 85, spatialLayers: 2, temporalLayers: 2, biasWidth: 32, biasLayers: 3, codes: 64, patchFrames: 2, patchArea: 16 });
  });

  const cases: [name: string, weights: string, io: string][] = [
    ['no two extents alike, grid [5, 3, 4]', 'ct-clip-odd.safetensors', 'ct-clip-odd.safetensors'],
    ['grid [1, 1, 3], latent of one number', 'ct-clip-flat.safetensors', 'ct-clip-flat.safetensors'],
    ['a .pt training checkpoint in half precision, `module.` before the names, patches of 2 × 3', 'ct-clip-wrapped.pt', 'ct-clip-wrapped.io.safetensors'],
  ];
  for (const [name, weights, ioFile] of cases) {
    it(`agrees with PyTorch: ${name}`, async () => {
      const engine = await testEngine();
      const io = await open(fixture(ioFile));
      const model = await load(engine, await open(fixture(weights)));
      await expectEncoding(engine, model, io, 1e-5);
      await engine.scope(async () => {
        const { taps, grid } = model.features(await upload(engine, io));
        expect(grid).toEqual(io.tensors.get('io.patch_tokens')!.shape.slice(1, 4));
        const wanted = { spatial_residual: taps[0].residual, temporal_residual: taps[1].residual, encoded_tokens: taps[1].features };
        for (const [key, tensor] of Object.entries(wanted)) {
          const [batch, t, h, w, width] = io.tensors.get(`io.${key}`)!.shape as [number, number, number, number, number];
          expect(tensor.shape).toEqual([batch, t * h * w, width]);
          expectClose(await tensor.toArray(), await io.readFloat32(`io.${key}`), 1e-5, key);
        }
      });
    });
  }

  it('encodes volumes one after another, and cuts patches a few frames at a time, to the same effect', async () => {
    const engine = await openTestEngine({ bindingLimit: 16384 }); // one volume's feed-forward has 15,360 bytes
    try {
      const io = await open(fixture('ct-clip-odd.safetensors'));
      const model = await loadCtClip(engine, io);
      let passes = 0;
      const forward = model.vision.forward.bind(model.vision);
      model.vision.forward = (...args) => {
        passes++;
        return forward(...args);
      };
      await expectEncoding(engine, model, io, 1e-5);
      expect(passes).toBe(2);
      model.vision.videoSlabBytes = 2 * 4 * 3 * 6 * 8; // two of five patches deep
      await expectEncoding(engine, model, io, 1e-5);
      const { taps } = engine.scope(() => model.features(engine.zeros([2, 1, 15, 6, 8])));
      expect(taps[1].features.shape).toEqual([2, 60, 12]);
      model.dispose();
    } finally {
      engine.destroy();
    }
  });

  it('is trainable: gradients of all weights agree with PyTorch, and none reach the codebook and β', async () => {
    const engine = await testEngine();
    const io = await open(fixture('ct-clip-odd.safetensors'));
    const expected = await open(fixture('ct-clip-odd.gradients.safetensors'));
    const model = await load(engine, io);
    for (const isCheckpointed of [false, true]) {
      model.requireGrad(true);
      model.vision.checkpointLayers = isCheckpointed;
      await engine.scope(async () => {
        const { latent } = model.encode(await upload(engine, io));
        const wave = Float32Array.from({ length: latent.size }, (_, i) => Math.sin(1 + i));
        await ops.sum(ops.mul(latent, engine.tensor(wave, latent.shape))).backward();
        const released = [...model.vision.released().map(([key, tensor]): [string, Tensor] => [`visual_transformer.${key}`, tensor]), ['to_visual_latent.weight', model.visualLatent.parts[0]!] as [string, Tensor]];
        let compared = 0;
        for (const [name, tensor] of released) {
          const reference = `grad.${name}`;
          if (/norm(_out)?\.beta$|_codebook/.test(name)) {
            expect(tensor.grad, name).toBeNull();
            continue;
          }
          const [got, wanted] = [await tensor.grad!.toArray(), await expected.readFloat32(reference)];
          // A bias of all logits moves no softmax: its gradient is zero but for rounding, and has no relative error.
          if (name.endsWith('net.2.bias')) expect(Math.max(...got.map(Math.abs), ...wanted.map(Math.abs))).toBeLessThan(1e-5);
          else expectClose(got, wanted, 1e-4, reference);
          compared++;
        }
        expect(compared).toBe([...expected.tensors.keys()].filter((name) => !/norm(_out)?\.beta$|_codebook/.test(name)).length);
      });
      for (const tensor of model.namedParameters().values()) tensor.zeroGrad();
    }
  });

  it('does not keep the position bias of weights that have changed', async () => {
    const engine = await testEngine();
    const io = await open(fixture('ct-clip-odd.safetensors'));
    const model = await load(engine, io);
    const bias = model.vision.positionBias;
    await engine.scope(async () => {
      const first = bias.forward(3, 4);
      expect(bias.forward(3, 4)).toBe(first);
      const before = [...(await first.toArray())];
      model.requireGrad(true);
      const weight = bias.net[2]!.bias;
      bias.forward(3, 4);
      weight.write(Float32Array.from(await weight.toArray(), (value) => value + 1));
      model.requireGrad(false);
      const after = await bias.forward(3, 4).toArray();
      expectClose(after, before.map((value) => value + 1), 1e-6);
    });
  });

  it('leaves nothing on the GPU but its weights, and nothing at all once disposed', async () => {
    const engine = await testEngine();
    const before = engine.memory.liveBuffers;
    const io = await open(fixture('ct-clip-odd.safetensors'));
    const model = await loadCtClip(engine, io);
    const video = await upload(engine, io);
    const run = (): void => {
      for (const tensor of Object.values(model.encode(video))) tensor.dispose();
    };
    run();
    const held = engine.memory.liveBuffers; // with the position bias, which is kept
    run();
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(held);
    model.dispose();
    video.dispose();
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  });
});

describe('the key report', () => {
  it('says what was used, what was not and what is the text tower\'s', async () => {
    const engine = await testEngine();
    const model = await load(engine, await open(fixture('ct-clip-wrapped.pt')));
    const { used, unused, missing, wrongShape, textTower } = model.keys;
    expect([missing, wrongShape]).toEqual([[], []]);
    expect(used).toContain('visual_transformer.enc_temporal_transformer.layers.0.1.k_scale');
    expect(used).toContain('temperature');
    expect(unused).toEqual(expect.arrayContaining(['to_visual_latent_extra.weight', 'visual_transformer.to_patch_emb_first_frame.2.weight', 'visual_transformer.enc_spatial_transformer.layers.0.1.null_kv', 'visual_transformer.enc_spatial_transformer.layers.0.1.context_norm.gamma']));
    expect(textTower).toEqual(['text_transformer.embeddings.word_embeddings.weight', 'text_transformer.embeddings.position_ids']);
    expect(used.length + unused.length).toBe((await open(fixture('ct-clip-wrapped.pt'))).tensors.size);
    expect([...model.text!.tensors]).toEqual([
      ['embeddings.word_embeddings.weight', { dtype: 'F16', shape: [13, 10] }],
      ['embeddings.position_ids', { dtype: 'I64', shape: [1, 5] }],
    ]);
    expect(await model.text!.readFloat32('embeddings.word_embeddings.weight')).toHaveLength(130);
    expect(model.textLatent!.shape).toEqual([6, 10]);
    expect(await model.temperature!.item()).toBe(1.25);
  });

  /** The odd model with some tensors left out or of another shape. */
  async function changed(change: (tensors: Map<string, { dtype: string; shape: readonly number[] }>) => void): Promise<WeightSource> {
    const file = await open(fixture('ct-clip-odd.safetensors'), 'odd');
    const tensors = new Map(file.tensors);
    change(tensors as never);
    return { name: 'odd', tensors, readFloat32: (name, range) => file.readFloat32(name, range) };
  }
  const layer = 'visual_transformer.enc_temporal_transformer.layers.1';

  it.each<[string, (tensors: Map<string, { dtype: string; shape: readonly number[] }>) => void, string | RegExp]>([
    ['a missing tensor', (tensors) => tensors.delete(`${layer}.3.4.weight`), `loadCtClip: odd: 1 tensors are missing: ${layer}.3.4.weight; give a complete checkpoint`],
    ['a tensor of another shape', (tensors) => tensors.set(`${layer}.1.to_kv.weight`, { dtype: 'F32', shape: [30, 11] }), `1 have another shape: ${layer}.1.to_kv.weight must be [30, 12], got [30, 11]`],
    ['no CTViT at all', (tensors) => tensors.clear(), 'loadCtClip: odd: tensor "visual_transformer.to_patch_emb.2.weight" is missing; give a checkpoint of CT-CLIP'],
    ['no head', (tensors) => tensors.delete('to_visual_latent.weight'), 'tensor "to_visual_latent.weight" must be [latent, tokens·12], got none'],
    ['a head of no whole number of tokens', (tensors) => tensors.set('to_visual_latent.weight', { dtype: 'F32', shape: [7, 145] }), 'must be [latent, tokens·12], got [7, 145]'],
    ['null keys', (tensors) => tensors.set('visual_transformer.enc_spatial_transformer.layers.0.1.null_kv', { dtype: 'F32', shape: [3, 4, 5] }), 'holds null keys'],
    ['nothing that tells the patch', (tensors) => [...tensors.keys()].filter((name) => name.includes('first_frame')).forEach((name) => tensors.delete(name)), 'no first-frame tensor tells the area of a patch; pass { patch'],
  ])('refuses %s, and leaves nothing on the GPU', async (_, change, message) => {
    const engine = await testEngine();
    const before = engine.memory.liveBuffers;
    const error = await loadCtClip(engine, await changed(change)).catch((cause: Error & { keys?: CtClipKeys }) => cause);
    expect(() => {
      throw error;
    }).toThrow(message);
    if (String(error).includes('are missing') || String(error).includes('another shape')) expect((error as { keys?: CtClipKeys }).keys!.used.length).toBeGreaterThan(30);
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  });

  it('takes the patch from the caller where no tensor tells it', async () => {
    const engine = await testEngine();
    const io = await open(fixture('ct-clip-odd.safetensors'));
    const source = await changed((tensors) => [...tensors.keys()].filter((name) => name.includes('first_frame')).forEach((name) => tensors.delete(name)));
    await expectEncoding(engine, await load(engine, source, { patch: [3, 2, 2] }), io, 1e-5);
    await expect(loadCtClip(engine, source, { patch: [2, 2, 2] })).rejects.toThrow('patches of 12 values');
  });

  it('says which videos do not fit', async () => {
    const engine = await testEngine();
    const model = await load(engine, await open(fixture('ct-clip-odd.safetensors')));
    engine.scope(() => {
      expect(() => model.encode(engine.zeros([1, 1, 16, 6, 8]))).toThrow('CtClip.encode: the video\'s 16 frames must be a multiple of the patches\' 3');
      expect(() => model.encode(engine.zeros([1, 1, 15, 8, 8]))).toThrow('frames of 8 × 8 give 16 tokens of 4 pixels, the model was made for 12');
      expect(() => model.encode(engine.zeros([1, 2, 15, 6, 8]))).toThrow('the video must be [B, 1, F, H, W], got [1, 2, 15, 6, 8]');
    });
  });
});

describe('SplitLinear', () => {
  it('gives in parts what one matrix gives', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const whole = new SplitLinear(new Initializer(engine, 1), 5, 7);
      const split = new SplitLinear(new Initializer(engine, 1), 5, 7, 5 * 4 * 3);
      expect(split.parts.map(({ shape }) => shape[0])).toEqual([3, 3, 1]);
      const values = await whole.parts[0]!.toArray();
      split.parts.forEach((part, index) => part.write((values as Float32Array<ArrayBuffer>).slice(index * 15, index * 15 + part.size)));
      const x = engine.tensor([1, -2, 3, 0.5, 1, 0, 1, 2, 3, 4], [2, 5]);
      expect(relativeError(await split.forward(x).toArray(), await whole.forward(x).toArray())).toBeLessThan(1e-6);
      whole.dispose();
      split.dispose();
    });
  });
});

it('prefixed gives one tower under its own names', async () => {
  const file = await open(fixture('ct-clip-odd.safetensors'));
  const inner = prefixed(file, 'visual_transformer.vq.');
  expect([...inner.tensors.keys()].sort()).toEqual(['_codebook.cluster_size', '_codebook.embed', '_codebook.initted']);
  expect(await inner.readFloat32('_codebook.embed', { start: 2, end: 5 })).toEqual((await file.readFloat32('visual_transformer.vq._codebook.embed')).slice(2, 5));
});
