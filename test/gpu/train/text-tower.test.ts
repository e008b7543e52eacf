import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import type { FileSystem } from '../../../src/data/index.ts';
import { bytesAccess, loadTokenizer, openWeights } from '../../../src/data/index.ts';
import { decodeSafetensors, disposeState, openTextTower, TextCache, type RunState, type StepRecord, type TextTower, type TrainConfig } from '../../../src/train/index.ts';
import { writeBertFolder } from '../../support/bert-folder.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { memoryFiles } from '../../unit/data/memory-files.ts';
import { tinyConfig, tinyRun, type TinyRun } from './tiny-run.ts';

const cacheFolder = 'text-cache';

/** Two epochs of the four training scans, whole reports for texts. */
const twoEpochs = (changes: Partial<TrainConfig> = {}): TrainConfig =>
  tinyConfig({ stages: { teacher: { steps: 4, learningRate: 1e-3 } }, text: { unit: 'report', sentencesPerScan: 1, maxTokens: 24 }, ...changes });

const open = (engine: Engine, files: FileSystem, frozen: boolean): Promise<TextTower> =>
  openTextTower(engine, files, 'bert', frozen, async (path) => openWeights(bytesAccess(await files.readFile(path)), path));

async function towerRun(engine: Engine, frozen: boolean, { seed = 5, config = twoEpochs() } = {}): Promise<TinyRun> {
  const run = tinyRun(engine, { config });
  await writeBertFolder(run.files, 'bert', { vocabTxt: run.state.vocabulary, seed });
  const tower = await open(engine, run.files, frozen);
  Object.assign(run.state, { textTower: tower.bert, tokenizer: tower.tokenizer });
  run.state.config.textTower = tower.config;
  return run;
}

async function openCache({ state }: TinyRun, files: FileSystem, weights = state.config.textTower!.weights): Promise<TextCache> {
  const cache = new TextCache(state.textTower!);
  await cache.attach({ files, folder: cacheFolder, weights });
  return cache;
}
const lossesOf = (records: readonly StepRecord[]): number[] => records.map(({ losses }) => losses.loss!);

describe('a frozen text tower', () => {
  it('reads each text once: a second epoch never runs it, and a second run on the same cache neither', async () => {
    const engine = await testEngine();
    const first = await towerRun(engine, true);
    first.state.textCache = await openCache(first, first.files);
    const read: number[] = [];
    await first.train(Infinity, () => read.push(first.state.textCache!.read));
    expect(read).toEqual([4, 4, 4, 4]); // the second step, which ends the first epoch, has been submitted when the first is told

    const again = await towerRun(engine, true);
    again.state.textCache = await openCache(again, first.files);
    expect(again.state.textCache.size).toBe(4 + 36); // the reports, and the validation's prompts
    await again.train();
    expect(again.state.textCache.read).toBe(0);
    expect(lossesOf(await again.records())).toEqual(lossesOf(await first.records()));

    const other = await towerRun(engine, true, { seed: 6 });
    expect(other.state.config.textTower!.weights).not.toBe(first.state.config.textTower!.weights);
    expect((await openCache(other, first.files)).size).toBe(0);
    for (const run of [first, again, other]) disposeState(run.state);
  });

  it('gives features of any length as the tower does by itself, to half precision', async () => {
    const engine = await testEngine();
    const run = await towerRun(engine, true);
    const { textTower, tokenizer } = run.state;
    const cache = new TextCache(textTower!);
    const texts = ['no', 'There is a pleural effusion. The heart is normal.', '', 'The heart is normal. Number a is seen. There is no effusion. No nodule.'];
    await engine.scope(async () => {
      const batch = tokenizer.encodeBatch(texts, 23);
      const together = (await (await cache.forward(batch)).toArray()) as Float32Array;
      for (const [row, text] of texts.entries()) {
        const alone = (await textTower!.forward(tokenizer.encodeBatch([text], 23)).toArray()) as Float32Array;
        // A half has 11 bits: 2^-11 of a value, and values here are of one size.
        expectClose(together.subarray(row * 16, (row + 1) * 16), alone, 2 ** -11, text);
      }
      const kept = (await (await cache.forward(batch)).toArray()) as Float32Array;
      expect(kept).toEqual(together);
      expect(cache.read).toBe(4);
    });
    disposeState(run.state);
  });

  it('is no parameter of the models, stays as it was read, and stands once in the checkpoint', async () => {
    const engine = await testEngine();
    const config = twoEpochs({ stages: { teacher: { steps: 2, learningRate: 1e-3 }, fast: { steps: 1, learningRate: 1e-3 }, align: { steps: 2, learningRate: 1e-3 } } });
    const run = await towerRun(engine, true, { config });
    const before = (await run.state.textTower!.wordEmbeddings.toArray()) as Float32Array;
    await run.train();
    const names = [...run.state.teacher!.namedParameters().keys(), ...run.state.student!.namedParameters().keys()];
    expect(names.filter((name) => name.startsWith('text.'))).toEqual([]);
    const { tensors } = decodeSafetensors(await run.files.readFile('run/checkpoint.safetensors'), 'checkpoint');
    const held = Object.keys(tensors).filter((name) => name.includes('wordEmbeddings'));
    expect(held).toEqual(['text.wordEmbeddings']);
    expect(tensors['text.wordEmbeddings']!.data).toEqual(before);

    const reopened = await run.reopened();
    await engine.scope(async () => {
      const batch = run.state.tokenizer.encodeBatch(['Emphysema is present.', 'no'], 24);
      const embed = async ({ student }: RunState): Promise<unknown> => student!.encodeText(await student!.readTexts(batch)).toArray();
      expect(await embed(reopened.state)).toEqual(await embed(run.state));
      expect(() => run.state.student!.encodeText(batch)).toThrow('takes features, got texts');
    });
    for (const each of [run, reopened]) disposeState(each.state);
  });

  it('stopped and resumed gives the losses of the unbroken run', async () => {
    const engine = await testEngine();
    const config = (): TrainConfig => twoEpochs({ stages: { teacher: { steps: 2, learningRate: 1e-3 }, align: { steps: 3, learningRate: 1e-3 } } });
    const unbroken = await towerRun(engine, true, { config: config() });
    await unbroken.train();
    const expected = lossesOf(await unbroken.records());
    disposeState(unbroken.state);
    let run = await towerRun(engine, true, { config: config() });
    for (let stops = 0; (await run.train(1)) === 'interrupted'; stops++) {
      const next = await run.reopened();
      disposeState(run.state);
      run = next;
      if (stops > 9) throw new Error('the run does not end');
    }
    expect(lossesOf(await run.records())).toEqual(expected);
    disposeState(run.state);
  });

  it('names a cache file that is damaged or of another tower', async () => {
    const engine = await testEngine();
    const run = await towerRun(engine, true);
    run.state.textCache = await openCache(run, run.files);
    await run.train(1);
    const place = `${cacheFolder}/${run.state.config.textTower!.weights.slice(0, 16)}`;
    const [entry] = await run.files.list(place);
    const path = `${place}/${entry!.name}`;
    const bytes = await run.files.readFile(path);
    await run.files.writeFile(path, bytes.subarray(0, bytes.length - 3));
    await expect(openCache(run, run.files)).rejects.toThrow(`TextCache: ${path}: cannot be read`);
    await run.files.writeFile(path, bytes);
    const { weights } = run.state.config.textTower!;
    await expect(openCache(run, run.files, `${weights.slice(0, 16)}${'0'.repeat(48)}`)).rejects.toThrow('is no cache of this text tower; remove the file');
    disposeState(run.state);
  });
});

describe('a trained text tower', () => {
  it('starts from the weights of its folder and learns, the student from the teacher', async () => {
    const engine = await testEngine();
    const config = twoEpochs({ stages: { teacher: { steps: 1, learningRate: 1e-3 }, align: { steps: 1, learningRate: 1e-3 } }, studentFromTeacher: false, fastWeight: 0 });
    const run = await towerRun(engine, false, { config });
    const layer = 'layers.1.intermediate.weight';
    const released = (await run.state.textTower!.namedParameters().get(layer)!.toArray()) as Float32Array;
    await run.train(1);
    expect(run.state.textTower).toBeNull();
    const taught = (await run.state.teacher!.text!.namedParameters().get(layer)!.toArray()) as Float32Array;
    const moved = Math.max(...taught.map((value, at) => Math.abs(value - released[at]!)));
    // One step of AdamW moves a weight by its rate: 1e-3 times the factor 0.1 of a pretrained tower, and its decay of 0.05.
    expect(moved).toBeGreaterThan(5e-5);
    expect(moved).toBeLessThan(1.1e-4);

    // Read from the checkpoint before the student is made: its tower has to come from the teacher's.
    const resumed = await run.reopened();
    await resumed.train();
    const student = (await resumed.state.student!.text!.namedParameters().get(layer)!.toArray()) as Float32Array;
    const away = Math.max(...student.map((value, at) => Math.abs(value - taught[at]!)));
    expect(away).toBeGreaterThan(5e-5);
    expect(away).toBeLessThan(1.1e-4);
    for (const each of [run, resumed]) disposeState(each.state);
  });
});

describe('openTextTower', () => {
  const vocabTxt = '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nno\nnodule\n';
  it.each([
    ['no config', async (files: FileSystem) => files.remove('bert/config.json'), 'bert: holds no config.json'],
    ['no weights', async (files: FileSystem) => files.remove('bert/model.safetensors'), 'bert: holds neither model.safetensors nor pytorch_model.bin'],
    ['no vocabulary', async (files: FileSystem) => files.remove('bert/vocab.txt'), 'bert: holds neither vocab.txt nor tokenizer.json'],
    ['a larger vocabulary than the weights', async (files: FileSystem) => files.writeFile('bert/vocab.txt', new TextEncoder().encode(`${vocabTxt}more\n`)), 'the tokenizer knows 8 tokens, config.json has vocab_size 7'],
    ['too few positions', (files: FileSystem) => writeBertFolder(files, 'bert', { vocabTxt, config: { max_position_embeddings: 63 } }), 'max_position_embeddings must be at least 64, got 63'],
    ['another activation', (files: FileSystem) => writeBertFolder(files, 'bert', { vocabTxt, config: { hidden_act: 'relu' } }), 'bert/config.json: hidden_act must be "gelu" or "gelu_python", got "relu"'],
    ['another model', (files: FileSystem) => writeBertFolder(files, 'bert', { vocabTxt, config: { model_type: 'roberta' } }), 'model_type must be "bert" or "cxr-bert", got "roberta"'],
    ['relative positions', (files: FileSystem) => writeBertFolder(files, 'bert', { vocabTxt, config: { position_embedding_type: 'relative_key' } }), 'position_embedding_type must be "absolute"'],
    ['a size that is none', (files: FileSystem) => writeBertFolder(files, 'bert', { vocabTxt, config: { hidden_size: '16' } }), 'hidden_size must be a whole number of at least 1, got "16"'],
    ['weights of another size', (files: FileSystem) => writeBertFolder(files, 'bert', { vocabTxt, config: { intermediate_size: 21 } }), 'encoder.layer.0.intermediate.dense.weight must be [21, 16], got [20, 16]'],
  ])('refuses a folder with %s, by name', async (_, spoil, message) => {
    const engine = await testEngine();
    const before = engine.memory.liveBuffers;
    const files = memoryFiles({});
    await writeBertFolder(files, 'bert', { vocabTxt });
    await spoil(files);
    await expect(open(engine, files, true)).rejects.toThrow(message);
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  });

  it('takes a table longer than the vocabulary, and its own case', async () => {
    const engine = await testEngine();
    const files = memoryFiles({});
    await writeBertFolder(files, 'bert', { vocabTxt: `${vocabTxt}No\n` });
    await files.writeFile('bert/vocab.txt', new TextEncoder().encode(vocabTxt));
    await files.writeFile('bert/tokenizer_config.json', new TextEncoder().encode('{"do_lower_case": false}'));
    const { bert, tokenizer, config, unused } = await open(engine, files, true);
    expect(config).toMatchObject({ name: 'bert', vocabularySize: 8, frozen: true });
    expect(tokenizer.toTokens(tokenizer.encode('No nodule', 9))).toEqual(['[CLS]', '[UNK]', 'nodule', '[SEP]']);
    expect(loadTokenizer({ vocabTxt: tokenizer.vocabTxt, settings: tokenizer.settings }).encode('No no', 9)).toEqual(tokenizer.encode('No no', 9));
    expect(unused).toEqual(['pooler.dense.bias', 'pooler.dense.weight']);
    bert.dispose();
  });
});
