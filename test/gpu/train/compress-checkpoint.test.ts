import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noGrad } from '../../../src/autograd/index.ts';
import { presets, type CtLite } from '../../../src/model/index.ts';
import { compressCheckpoint, decodeCheckpoint, decodeSafetensors, disposeState, encodeSafetensors, type RunState } from '../../../src/train/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { tinyConfig, tinyCohort, tinyRun, tinyVolume, type TinyRun } from './tiny-run.ts';

describe('compressCheckpoint', () => {
  let run: TinyRun;
  let dense: Uint8Array;
  beforeAll(async () => {
    const engine = await testEngine();
    run = tinyRun(engine, { config: tinyConfig({ head: 'dense', stages: { teacher: { steps: 1, learningRate: 1e-3 }, align: { steps: 2, learningRate: 1e-3 } } }) });
    // Stopped in the middle of a stage: the checkpoint has the optimiser's state.
    await run.train(2);
    dense = await run.files.readFile('run/checkpoint.safetensors');
  });
  afterAll(() => disposeState(run.state));

  async function embeddings(model: CtLite, { tokenizer }: RunState): Promise<{ image: Float32Array; text: Float32Array }> {
    const { engine } = model.logScale;
    return engine.scope(async () => {
      const volumes = tinyCohort().scans.slice(0, 3).map(tinyVolume);
      const x = engine.tensor(Float32Array.from(volumes.flatMap((values) => [...values])), [3, 1, ...presets.tiny.grid.shape]);
      return {
        image: (await noGrad(() => model.encodeImage(x).embedding).toArray()) as Float32Array,
        text: (await noGrad(() => model.encodeText(tokenizer.encodeBatch(['There is a pleural effusion.', 'no'], 16))).toArray()) as Float32Array,
      };
    });
  }

  /** The checkpoint with its heads' weights multiplied. */
  function louder(factor: number): Uint8Array {
    const { tensors, metadata } = decodeSafetensors(dense, 'dense');
    for (const [key, tensor] of Object.entries(tensors)) {
      if (/^(teacher|student).*Head.weight$/.test(key)) tensors[key] = { ...tensor, data: (tensor.data as Float32Array).map((value) => factor * value) };
    }
    return encodeSafetensors(tensors, metadata);
  }

  // At 20 times their initial size the cores are above the limit that btt_norm scales them down to, and only γ undoes that.
  it.each([1, 20])('at full rank gives a checkpoint whose embeddings are those of the dense heads, times %d', async (factor) => {
    const engine = await testEngine();
    const original = decodeCheckpoint(engine, louder(factor), 'dense');
    const { bytes, rank, heads } = compressCheckpoint(louder(factor), 'dense', { rank: 16 });
    expect(rank).toBe(16);
    expect(heads.map(({ head }) => head).sort()).toEqual(['student.imageHead', 'student.textHead', 'teacher.imageHead', 'teacher.textHead']);
    for (const { relativeError } of heads) expect(relativeError).toBeLessThan(1e-6);
    const state = decodeCheckpoint(engine, bytes, 'compressed');
    expect(state.config).toMatchObject({ head: 'sfp', headRank: 16 });
    for (const which of ['teacher', 'student'] as const) {
      const [ours, theirs] = [await embeddings(state[which]!, state), await embeddings(original[which]!, original)];
      // Two products of f32 in place of one.
      expectClose(ours.image, theirs.image, 1e-5, `${which} image`);
      expectClose(ours.text, theirs.text, 1e-5, `${which} text`);
    }
    const { tensors } = decodeSafetensors(bytes, 'compressed');
    for (const { head } of heads) expect((tensors[`${head}.gamma0`]!.data as Float32Array)[0]! > 1, head).toBe(factor > 1);
    for (const each of [state, original]) disposeState(each);
  });

  it('at the rank of the preset halves the heads, and reports the error that the model shows', async () => {
    const engine = await testEngine();
    const { bytes, rank, heads } = compressCheckpoint(dense, 'dense', {});
    expect(rank).toBe(presets.tiny.head.rank);
    const state = decodeCheckpoint(engine, bytes, 'compressed');
    for (const { head, inFeatures, latent, relativeError, parametersBefore, parametersAfter } of heads) {
      const [model, part] = head.split('.') as ['teacher' | 'student', 'imageHead' | 'textHead'];
      expect(parametersBefore).toBe(run.state[model]![part].parameterCount);
      expect(parametersAfter).toBe(state[model]![part].parameterCount);
      expect((parametersAfter - latent - 2) / (parametersBefore - latent)).toBe(0.5);
      // The matrix that a head multiplies by, column by column.
      const matrixOf = async (from: RunState): Promise<Float32Array> =>
        engine.scope(async () => {
          const projection = from[model]![part];
          const eye = Float32Array.from({ length: inFeatures ** 2 }, (_, at) => (at % (inFeatures + 1) === 0 ? 1 : 0));
          const [all, bias] = [await noGrad(() => projection.forward(engine.tensor(eye, [inFeatures, inFeatures]))).toArray(), await projection.bias.toArray()];
          return Float32Array.from(all, (value, at) => value - bias[at % latent]!);
        });
      const [whole, near] = [await matrixOf(run.state), await matrixOf(state)];
      const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
      const measured = norm(whole.map((value, at) => value - near[at]!)) / norm(whole);
      expect(relativeError).toBeGreaterThan(0.1);
      expect(Math.abs(measured - relativeError)).toBeLessThan(1e-4);
    }
    disposeState(state);
  });

  it('copies everything else, and drops the optimiser', () => {
    const { bytes } = compressCheckpoint(dense, 'dense', { keep: 0.25 });
    const [before, after] = [decodeSafetensors(dense, 'before'), decodeSafetensors(bytes, 'after')];
    expect(Object.keys(before.tensors).some((key) => key.startsWith('optimizer.'))).toBe(true);
    expect(Object.keys(after.tensors).some((key) => key.startsWith('optimizer.'))).toBe(false);
    for (const [key, tensor] of Object.entries(before.tensors)) {
      if (!key.startsWith('optimizer.') && !/(image|text)Head\.weight$/.test(key)) expect(after.tensors[key], key).toEqual(tensor);
    }
    expect(after.metadata).toMatchObject({ vocabulary: before.metadata.vocabulary, position: before.metadata.position, optimizerSteps: '0' });
    expect(JSON.parse(after.metadata.config!).headRank).toBe(2);
  });

  it('refuses what it cannot convert', async () => {
    const { bytes } = compressCheckpoint(dense, 'dense', {});
    expect(() => compressCheckpoint(bytes, 'again', {})).toThrow('again: its projection heads are Block Tensor Trains already');
    expect(() => compressCheckpoint(dense, 'dense', { rank: 17 })).toThrow('have rank 16 at most, got 17; choose a lower --rank');
    expect(() => compressCheckpoint(encodeSafetensors({}), 'foreign', {})).toThrow('foreign: is no CT-Lite checkpoint');
  });

  it('a rank that a header only claims is refused before anything is made of it', async () => {
    const engine = await testEngine();
    const { tensors, metadata } = decodeSafetensors(compressCheckpoint(dense, 'dense', {}).bytes, 'compressed');
    const edited = encodeSafetensors(tensors, { ...metadata, config: JSON.stringify({ ...(JSON.parse(metadata.config!) as object), headRank: 1e9 }) });
    expect(() => decodeCheckpoint(engine, edited, 'edited')).toThrow("edited: its config's headRank must be a whole number from 1 to 16, got 1000000000");
  });
});
