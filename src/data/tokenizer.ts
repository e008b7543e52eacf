/**
 * BERT WordPiece over any `vocab.txt` or `tokenizer.json`, through `@huggingface/tokenizers`.
 * Source: Devlin et al. 2019; the default settings are those of bert-base-uncased and of CXR-BERT (lower-cased, accents stripped,
 * [PAD] [UNK] [CLS] [SEP] [MASK]).
 */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';

export const SPECIAL_TOKENS = { pad: '[PAD]', unknown: '[UNK]', cls: '[CLS]', sep: '[SEP]', mask: '[MASK]' } as const;
/** BERT's own limit: a longer word becomes [UNK]. */
const MAX_WORD_CHARACTERS = 100;
/** Largest id that is believed: a foreign file may say anything, and tables are made of this length. */
const MOST_TOKENS = 1_000_000;

export interface TokenBatch {
  /** [batch, tokens] flat, padded with [PAD]. */
  ids: Uint32Array;
  /** Tokens of each text, [CLS] and [SEP] included, padding not. */
  lengths: Uint32Array;
  batch: number;
  /** Length of the longest text of the batch. */
  tokens: number;
}

/** How BERT splits a text before WordPiece. */
export interface TokenizerSettings {
  lowerCase: boolean;
  /** null: as lowerCase, which is BERT's rule. */
  stripAccents: boolean | null;
  /** Whether each Chinese character is a word of its own. */
  chineseCharacters: boolean;
}

export const DEFAULT_TOKENIZER_SETTINGS: TokenizerSettings = { lowerCase: true, stripAccents: null, chineseCharacters: true };

export interface Tokenizer {
  readonly settings: TokenizerSettings;
  readonly vocabularySize: number;
  readonly padId: number;
  readonly clsId: number;
  readonly sepId: number;
  readonly unknownId: number;
  /** Tokens in the order of their ids, one a line: what a checkpoint keeps to read its own texts again. */
  readonly vocabTxt: string;
  /** [CLS] … [SEP], at most maxLength ids; a text cut short keeps its [SEP]. */
  encode(text: string, maxLength: number): number[];
  /** Pads to the longest text of the batch. */
  encodeBatch(texts: readonly string[], maxLength: number): TokenBatch;
  /** The tokens of the ids, for messages and tests. */
  toTokens(ids: ArrayLike<number>): string[];
}

export type TokenizerSource = { vocabTxt: string; settings?: TokenizerSettings } | { tokenizerJson: string };

/**
 * `vocabTxt` and `settings` of the result make the same tokenizer again, whatever it was loaded from.
 * @throws where the vocabulary lacks a special token or holds one twice, or where the JSON is none of a BERT tokenizer.
 */
export function loadTokenizer(source: TokenizerSource): Tokenizer {
  const { vocab, settings } = 'vocabTxt' in source ? { vocab: numbered(parseVocabulary(source.vocabTxt)), settings: source.settings ?? DEFAULT_TOKENIZER_SETTINGS } : parseJson(source.tokenizerJson);
  return wrap(makeLibraryTokenizer(vocab, settings), settings);
}

function numbered(tokens: readonly string[]): Record<string, number> {
  const vocab = Object.create(null) as Record<string, number>;
  tokens.forEach((token, id) => (vocab[token] = id));
  return vocab;
}

function parseVocabulary(text: string): string[] {
  const tokens = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  while (tokens.length > 0 && tokens[tokens.length - 1] === '') tokens.pop();
  const first = new Map<string, number>();
  tokens.forEach((token, line) => {
    const earlier = first.get(token);
    if (earlier !== undefined) {
      throw new Error(`loadTokenizer: vocab.txt: a token stands once, got '${token}' in lines ${earlier + 1} and ${line + 1}`);
    }
    first.set(token, line);
  });
  requireSpecialTokens((token) => first.has(token), 'vocab.txt');
  return tokens;
}

function requireSpecialTokens(has: (token: string) => boolean, where: string): void {
  const needed = [SPECIAL_TOKENS.pad, SPECIAL_TOKENS.unknown, SPECIAL_TOKENS.cls, SPECIAL_TOKENS.sep];
  const missing = needed.filter((token) => !has(token));
  if (missing.length === 0) return;
  throw new Error(`loadTokenizer: ${where}: a BERT vocabulary needs ${needed.join(' ')}, missing ${missing.join(' ')}; give the vocab.txt or tokenizer.json of a BERT model`);
}

function makeLibraryTokenizer(vocab: Record<string, number>, { lowerCase, stripAccents, chineseCharacters }: TokenizerSettings): LibraryTokenizer {
  const special = (token: string) => ({ id: token, ids: [vocab[token]!], tokens: [token] });
  const json = {
    version: '1.0',
    added_tokens: Object.values(SPECIAL_TOKENS)
      .filter((content) => content in vocab)
      .map((content) => ({ id: vocab[content]!, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: chineseCharacters, strip_accents: stripAccents, lowercase: lowerCase },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: SPECIAL_TOKENS.cls, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: SPECIAL_TOKENS.sep, type_id: 0 } }],
      pair: [],
      special_tokens: { [SPECIAL_TOKENS.cls]: special(SPECIAL_TOKENS.cls), [SPECIAL_TOKENS.sep]: special(SPECIAL_TOKENS.sep) },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: SPECIAL_TOKENS.unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: MAX_WORD_CHARACTERS,
      vocab,
    },
  };
  return new LibraryTokenizer(json, { tokenizer_class: 'BertTokenizer' });
}

/** The parts of a tokenizer.json that differ between BERTs: the vocabulary with the added tokens, and the normaliser's settings. */
function parseJson(text: string): { vocab: Record<string, number>; settings: TokenizerSettings } {
  const remedy = 'give the tokenizer.json of a BERT model';
  let json: TokenizerJson;
  try {
    json = JSON.parse(text) as TokenizerJson;
    if (typeof json?.model?.vocab !== 'object') throw new Error('it has no model.vocab');
  } catch (cause) {
    throw new Error(`loadTokenizer: tokenizer.json is not one (${(cause as Error).message}); ${remedy}`, { cause });
  }
  const { model, normalizer, added_tokens: added = [] } = json;
  if (model.type !== 'WordPiece') throw new Error(`loadTokenizer: tokenizer.json: its model must be WordPiece, got ${String(model.type)}; ${remedy}`);
  if (normalizer && normalizer.type !== 'BertNormalizer') throw new Error(`loadTokenizer: tokenizer.json: its normalizer must be BertNormalizer, got ${String(normalizer.type)}; ${remedy}`);
  const vocab = Object.assign(Object.create(null) as Record<string, number>, model.vocab, Object.fromEntries(added.map(({ content, id }) => [content, id])));
  const stray = Object.entries(vocab).find(([, id]) => !Number.isSafeInteger(id) || id < 0 || id > MOST_TOKENS);
  if (stray) throw new Error(`loadTokenizer: tokenizer.json: ids must be whole numbers from 0 to ${MOST_TOKENS}, got ${String(stray[1])} for '${stray[0]}'; ${remedy}`);
  requireSpecialTokens((token) => token in vocab, 'tokenizer.json');
  const { lowercase = true, strip_accents: stripAccents = null, handle_chinese_chars: chineseCharacters = true } = normalizer ?? {};
  return { vocab, settings: { lowerCase: lowercase, stripAccents, chineseCharacters } };
}

interface TokenizerJson {
  model: { type?: string; vocab: Record<string, number> };
  normalizer?: { type?: string; lowercase?: boolean; strip_accents?: boolean | null; handle_chinese_chars?: boolean } | null;
  added_tokens?: { content: string; id: number }[];
}

function wrap(library: LibraryTokenizer, settings: TokenizerSettings): Tokenizer {
  const id = (token: string): number => library.token_to_id(token)!;
  const [padId, clsId, sepId, unknownId] = [id(SPECIAL_TOKENS.pad), id(SPECIAL_TOKENS.cls), id(SPECIAL_TOKENS.sep), id(SPECIAL_TOKENS.unknown)];
  const vocabulary = library.get_vocab(true);
  let largest = 0;
  for (const value of vocabulary.values()) largest = Math.max(largest, value);
  const vocabularySize = largest + 1;

  const encode = (text: string, maxLength: number): number[] => {
    if (!Number.isInteger(maxLength) || maxLength < 2) {
      throw new Error(`encodeBatch: maxLength must be an integer of at least 2 ([CLS] and [SEP]), got ${maxLength}`);
    }
    // The text's own "[SEP]" or "[PAD]" must not become the mark: reports are data, not markup.
    const { ids } = library.encode(defuse(text), { add_special_tokens: false });
    return [clsId, ...ids.slice(0, maxLength - 2), sepId];
  };

  return {
    settings,
    vocabularySize,
    padId,
    clsId,
    sepId,
    unknownId,
    get vocabTxt() {
      const tokens = Array.from({ length: vocabularySize }, (_, index) => library.id_to_token(index) ?? `[unused-${index}]`);
      return `${tokens.join('\n')}\n`;
    },
    encode,
    encodeBatch(texts, maxLength) {
      const rows = texts.map((text) => encode(text, maxLength));
      const tokens = Math.max(0, ...rows.map((row) => row.length));
      const ids = new Uint32Array(rows.length * tokens).fill(padId);
      rows.forEach((row, index) => ids.set(row, index * tokens));
      return { ids, lengths: Uint32Array.from(rows, (row) => row.length), batch: rows.length, tokens };
    },
    toTokens: (ids) => Array.from(ids, (value) => library.id_to_token(value) ?? SPECIAL_TOKENS.unknown),
  };
}

const SPECIAL_PATTERN = /\[(PAD|UNK|CLS|SEP|MASK)\]/g;

function defuse(text: string): string {
  return text.replace(SPECIAL_PATTERN, '[ $1 ]');
}
