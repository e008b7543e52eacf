import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadTokenizer, readTokenizerFolder } from '../../../src/data/index.ts';
import { nodeFiles } from '../../../src/platform/node-files.ts';
import { memoryFiles } from './memory-files.ts';

const vocabulary = '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nno\nNo\neffusion\nnaive\nnaïve\n';
const text = 'No effusion naïve';
const json = (changes: object): string =>
  JSON.stringify({
    added_tokens: [{ content: '[MASK]', id: 9 }],
    normalizer: { type: 'BertNormalizer', lowercase: true, strip_accents: null, handle_chinese_chars: true },
    model: { type: 'WordPiece', vocab: { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, no: 5, No: 6, effusion: 7, naive: 8 } },
    ...changes,
  });

describe('readTokenizerFolder', () => {
  it.each([
    ['lower-cases and strips accents where nothing is said', { 'a/vocab.txt': vocabulary }, ['no', 'effusion', 'naive']],
    ['keeps case for do_lower_case: false', { 'a/vocab.txt': vocabulary, 'a/tokenizer_config.json': '{"do_lower_case":false}' }, ['No', 'effusion', 'naïve']],
    ['keeps accents for strip_accents: false', { 'a/vocab.txt': vocabulary, 'a/tokenizer_config.json': '{"strip_accents":false}' }, ['no', 'effusion', 'naïve']],
    ['takes vocab.txt before tokenizer.json', { 'a/vocab.txt': vocabulary, 'a/tokenizer.json': 'broken' }, ['no', 'effusion', 'naive']],
    ['reads tokenizer.json', { 'a/tokenizer.json': json({}) }, ['no', 'effusion', 'naive']],
    ['reads the case of a tokenizer.json', { 'a/tokenizer.json': json({ normalizer: { type: 'BertNormalizer', lowercase: false } }) }, ['No', 'effusion', '[UNK]']],
  ])('%s', async (_, files, words) => {
    const tokenizer = await readTokenizerFolder(memoryFiles(files), 'a');
    expect(tokenizer.toTokens(tokenizer.encode(text, 9))).toEqual(['[CLS]', ...words, '[SEP]']);
    const again = loadTokenizer({ vocabTxt: tokenizer.vocabTxt, settings: tokenizer.settings });
    expect(again.encode(text, 9)).toEqual(tokenizer.encode(text, 9));
    expect(again.vocabularySize).toBe(tokenizer.vocabularySize);
  });

  it('keeps the ids of a tokenizer.json with gaps and added tokens', async () => {
    const tokenizer = await readTokenizerFolder(memoryFiles({ 'a/tokenizer.json': json({}) }), 'a');
    expect(tokenizer.vocabularySize).toBe(10);
    expect(tokenizer.encode('no effusion', 9)).toEqual([2, 5, 7, 3]);
  });

  it.each([
    ['an empty folder', { 'a/x': '' }, 'a: holds neither vocab.txt nor tokenizer.json'],
    ['a tokenizer that is no WordPiece', { 'a/tokenizer.json': json({ model: { type: 'BPE', vocab: {} } }) }, 'a/tokenizer.json: loadTokenizer: tokenizer.json: its model must be WordPiece, got BPE'],
    ['another normaliser', { 'a/tokenizer.json': json({ normalizer: { type: 'NFC' } }) }, 'its normalizer must be BertNormalizer, got NFC'],
    ['an id that no table could hold', { 'a/tokenizer.json': json({ added_tokens: [{ content: 'x', id: 4e9 }] }) }, "ids must be whole numbers from 0 to 1000000, got 4000000000 for 'x'"],
    ['a vocabulary without marks', { 'a/vocab.txt': 'no\n' }, 'a/vocab.txt: loadTokenizer: vocab.txt: a BERT vocabulary needs'],
    ['broken settings', { 'a/vocab.txt': vocabulary, 'a/tokenizer_config.json': '{' }, 'a/tokenizer_config.json: is not a JSON object'],
  ])('refuses %s', async (_, files, message) => {
    await expect(readTokenizerFolder(memoryFiles(files), 'a')).rejects.toThrow(message);
  });
});

const CXR = '../shared/data/tokenizer/cxrbert';
describe.skipIf(!existsSync(CXR))("CXR-BERT's folder", () => {
  it('is read as it was released', async () => {
    const tokenizer = await readTokenizerFolder(nodeFiles, CXR);
    expect(tokenizer.vocabularySize).toBe(30522);
    expect(tokenizer.toTokens(tokenizer.encode('Bilateral PLEURAL effusion, 3 mm nodule.', 64))).toEqual(
      ['[CLS]', 'bilateral', 'pleural', 'effusion', ',', '3', 'mm', 'nodule', '.', '[SEP]'],
    );
  });
});
