/** BERT's splitting of a text into words, before WordPiece: the very normaliser and splitter that the tokenizer uses. */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';

const splitter = new LibraryTokenizer(
  {
    version: '1.0',
    added_tokens: [],
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab: { '[UNK]': 0 } },
  },
  {},
);

/** Lower-cased words and single punctuation marks, in order. */
export function splitWords(text: string): string[] {
  const normalised = splitter.normalizer ? splitter.normalizer._call(text) : text;
  return splitter.pre_tokenizer!.pre_tokenize(normalised);
}
