/**
 * A WordPiece vocabulary from a cohort's own reports: the default where none is given, small enough for a text tower that is
 * trained from scratch on one machine.
 */
import { loadTokenizer, SPECIAL_TOKENS } from './tokenizer.ts';
import { splitWords } from './words.ts';

export interface VocabularyOptions {
  /** A word enters from this many occurrences on; rarer ones are spelled. Default 2. */
  minCount?: number;
  /** Most tokens in all. Default 8192. */
  size?: number;
}

/** So that any English prompt can be spelled, whatever the reports held. */
const BASE_CHARACTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789.,;:()-/%+<>=\'"!?&[]*#_'];

/**
 * Special tokens first ([PAD] = 0), then every character alone and as ##character, so that nothing made of them is unknown,
 * then whole words by frequency (ties in code-unit order: the same texts give the same vocabulary).
 *
 * @returns the text of a vocab.txt.
 */
export function buildVocabulary(texts: Iterable<string>, options: VocabularyOptions = {}): string {
  const { minCount = 2, size = 8192 } = options;
  const counts = new Map<string, number>();
  const characters = new Set(BASE_CHARACTERS);
  for (const text of texts) {
    for (const word of splitWords(text)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      for (const character of word) characters.add(character);
    }
  }
  const tokens = new Set<string>(Object.values(SPECIAL_TOKENS));
  const sorted = [...characters].sort();
  for (const character of sorted) tokens.add(character);
  for (const character of sorted) tokens.add(`##${character}`);
  if (tokens.size > size) {
    throw new Error(`buildVocabulary: size must hold the special tokens and characters, ${tokens.size} of them, got ${size}`);
  }
  const words = [...counts].filter(([, count]) => count >= minCount);
  words.sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1));
  for (const [word] of words) {
    if (tokens.size >= size) break;
    tokens.add(word);
  }
  const vocabulary = `${[...tokens].join('\n')}\n`;
  loadTokenizer({ vocabTxt: vocabulary });
  return vocabulary;
}
