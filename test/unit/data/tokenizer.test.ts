import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allLabelPrompts, buildVocabulary, loadTokenizer } from '../../../src/data/index.ts';

interface Fixture {
  vocabulary: string[];
  cases: { text: string; ids: number[] }[];
}
const fixture = JSON.parse(readFileSync(new URL('../../fixtures/data/tokenizer.json', import.meta.url), 'utf8')) as Fixture;
const tokenizer = loadTokenizer({ vocabTxt: fixture.vocabulary.join('\n') });

describe('loadTokenizer', () => {
  it.each(fixture.cases)("gives BERT's ids: $text", ({ text, ids }) => {
    expect(tokenizer.toTokens(tokenizer.encode(text, 512))).toEqual(ids.map((id) => fixture.vocabulary[id]));
    expect(tokenizer.encode(text, 512)).toEqual(ids);
  });

  it('knows its special tokens and size', () => {
    expect(tokenizer).toMatchObject({ vocabularySize: fixture.vocabulary.length, padId: 0, unknownId: 1, clsId: 2, sepId: 3 });
  });

  it('gives its vocabulary back, from which the same tokenizer is made', () => {
    expect(tokenizer.vocabTxt).toBe(`${fixture.vocabulary.join('\n')}\n`);
  });

  it('cuts a long text and keeps its [SEP]', () => {
    const whole = tokenizer.encode('no pleural effusion is seen', 512);
    expect(tokenizer.encode('no pleural effusion is seen', 4)).toEqual([...whole.slice(0, 3), tokenizer.sepId]);
    expect(tokenizer.encode('no', 2)).toEqual([tokenizer.clsId, tokenizer.sepId]);
    expect(() => tokenizer.encode('no', 1)).toThrow('maxLength must be an integer of at least 2');
  });

  it('pads a batch to its longest text', () => {
    const batch = tokenizer.encodeBatch(['no', 'no effusion is seen', ''], 512);
    expect(batch).toMatchObject({ batch: 3, tokens: 6, lengths: Uint32Array.of(3, 6, 2) });
    expect([...batch.ids.subarray(0, 6)]).toEqual([...tokenizer.encode('no', 9), 0, 0, 0]);
    expect([...batch.ids.subarray(12)]).toEqual([2, 3, 0, 0, 0, 0]);
    expect(tokenizer.encodeBatch([], 8)).toMatchObject({ batch: 0, tokens: 0 });
  });

  it("does not take a report's text for its marks", () => {
    const ids = tokenizer.encode('no [SEP] effusion [PAD]', 64);
    expect(ids.filter((id) => id === tokenizer.sepId)).toHaveLength(1);
    expect(ids).not.toContain(tokenizer.padId);
  });

  it('reads a vocabulary with Windows line ends and a byte-order mark', () => {
    const windows = loadTokenizer({ vocabTxt: `\uFEFF${fixture.vocabulary.join('\r\n')}\r\n` });
    expect(windows.encode('no effusion', 9)).toEqual(tokenizer.encode('no effusion', 9));
  });

  it('reads a tokenizer.json', () => {
    const vocab = Object.fromEntries(fixture.vocabulary.map((token, id) => [token, id]));
    const json = {
      version: '1.0', added_tokens: [], normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
      pre_tokenizer: { type: 'BertPreTokenizer' }, post_processor: null, decoder: { type: 'WordPiece', prefix: '##' },
      model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab },
    };
    const fromJson = loadTokenizer({ tokenizerJson: JSON.stringify(json) });
    for (const { text, ids } of fixture.cases) expect(fromJson.encode(text, 512)).toEqual(ids);
    expect(fromJson.vocabularySize).toBe(tokenizer.vocabularySize);
  });

  it.each([
    ['a vocabulary without [CLS]', { vocabTxt: '[PAD]\n[UNK]\n[SEP]\na' }, 'missing [CLS]; give the vocab.txt'],
    ['an empty vocabulary', { vocabTxt: '' }, 'missing [PAD] [UNK] [CLS] [SEP]'],
    ['a token twice', { vocabTxt: '[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na' }, "got 'a' in lines 5 and 7"],
    ['no JSON', { tokenizerJson: 'vocab' }, 'tokenizer.json is not one'],
    ['a JSON that is no tokenizer', { tokenizerJson: '{}' }, 'tokenizer.json is not one'],
  ])('refuses %s', (_, source, message) => expect(() => loadTokenizer(source)).toThrow(message));
});

describe('buildVocabulary', () => {
  const texts = ['No pleural effusion. No nodule.', 'Nodule in the left lobe; no effusion, 3 mm.', 'Rareword Ünïcode 中'];

  it('puts special tokens first, then characters, then words by frequency', () => {
    const tokens = buildVocabulary(texts).trimEnd().split('\n');
    expect(tokens.slice(0, 5)).toEqual(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']);
    expect(tokens.slice(-3)).toEqual(['no', 'effusion', 'nodule']);
    expect(tokens).toContain('##q');
    expect(tokens).toContain('中');
    expect(tokens).not.toContain('rareword');
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('leaves nothing of its texts unknown, nor of the prompts', () => {
    const made = loadTokenizer({ vocabTxt: buildVocabulary(texts) });
    const { ids } = made.encodeBatch([...texts, ...allLabelPrompts(), 'Zebra-crossing (2x3.5 cm): 40%/"q"?'], 512);
    expect([...ids]).not.toContain(made.unknownId);
    expect(made.toTokens(made.encode('rareword', 99))).toEqual(['[CLS]', 'r', '##a', '##r', '##e', '##w', '##o', '##r', '##d', '[SEP]']);
  });

  it('holds to its size and does not depend on the order of the texts', () => {
    expect(buildVocabulary(texts, { size: 160 }).trimEnd().split('\n').length).toBeLessThanOrEqual(160);
    expect(buildVocabulary([...texts].reverse())).toBe(buildVocabulary(texts));
    expect(() => buildVocabulary(texts, { size: 20 })).toThrow('size must hold the special tokens and characters');
  });
});

const BERT = '../shared/data/tokenizer/bert_base_uncased_vocab.txt';
const CXR = '../shared/data/tokenizer/cxrbert/vocab.txt';

// Ids by the definition of bert-base-uncased: [CLS] 101, [SEP] 102, hello 7592, world 2088.
describe.skipIf(!existsSync(BERT))('bert-base-uncased', () => {
  const bert = (): ReturnType<typeof loadTokenizer> => loadTokenizer({ vocabTxt: readFileSync(BERT, 'utf8') });
  it('gives its published ids', () => {
    expect(bert().vocabularySize).toBe(30522);
    expect(bert().encode('Hello world!', 512)).toEqual([101, 7592, 2088, 999, 102]);
    expect(bert().toTokens(bert().encode("Café, naïve don't embeddings", 512))).toEqual(
      ['[CLS]', 'cafe', ',', 'naive', 'don', "'", 't', 'em', '##bed', '##ding', '##s', '[SEP]'],
    );
  });
});

describe.skipIf(!existsSync(CXR))('CXR-BERT', () => {
  it('has its marks at 0 to 4 and holds radiology words whole', () => {
    const cxr = loadTokenizer({ vocabTxt: readFileSync(CXR, 'utf8') });
    expect(cxr).toMatchObject({ vocabularySize: 30522, padId: 0, unknownId: 1, clsId: 2, sepId: 3 });
    expect(cxr.toTokens(cxr.encode('No pleural effusion or consolidation.', 64))).toEqual(
      ['[CLS]', 'no', 'pleural', 'effusion', 'or', 'consolidation', '.', '[SEP]'],
    );
  });
});
