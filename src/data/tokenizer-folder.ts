/** The tokenizer of a Hugging Face folder. */
import type { FileSystem } from './file-system.ts';
import { DEFAULT_TOKENIZER_SETTINGS, loadTokenizer, type Tokenizer, type TokenizerSettings } from './tokenizer.ts';

/**
 * Reads `vocab.txt`, with the settings of `tokenizer_config.json` where it is there, or else `tokenizer.json`, which holds both.
 * @throws Error naming the folder or the file where there is no tokenizer, or none of a BERT
 */
export async function readTokenizerFolder(files: FileSystem, folder: string): Promise<Tokenizer> {
  const [vocabulary, settings, json] = ['vocab.txt', 'tokenizer_config.json', 'tokenizer.json'].map((name) => files.join(folder, name)) as [string, string, string];
  const read = async (path: string): Promise<string> => new TextDecoder().decode(await files.readFile(path));
  if (await files.exists(vocabulary)) {
    const source = { vocabTxt: await read(vocabulary), settings: (await files.exists(settings)) ? parseSettings(await read(settings), settings) : DEFAULT_TOKENIZER_SETTINGS };
    return named(vocabulary, () => loadTokenizer(source));
  }
  if (!(await files.exists(json))) throw new Error(`readTokenizerFolder: ${folder}: holds neither vocab.txt nor tokenizer.json; give the folder of a Hugging Face BERT`);
  const text = await read(json);
  return named(json, () => loadTokenizer({ tokenizerJson: text }));
}

function parseSettings(text: string, path: string): TokenizerSettings {
  try {
    const { do_lower_case: lowerCase, strip_accents: stripAccents, tokenize_chinese_chars: chineseCharacters } = JSON.parse(text) as Record<string, unknown>;
    const { lowerCase: byDefault } = DEFAULT_TOKENIZER_SETTINGS;
    return {
      lowerCase: typeof lowerCase === 'boolean' ? lowerCase : byDefault,
      stripAccents: typeof stripAccents === 'boolean' ? stripAccents : null,
      chineseCharacters: typeof chineseCharacters === 'boolean' ? chineseCharacters : true,
    };
  } catch (cause) {
    throw new Error(`readTokenizerFolder: ${path}: is not a JSON object; restore it, or remove it for a lower-cased vocabulary`, { cause });
  }
}

/** Puts the file before the message of whatever `work` throws. */
function named<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}
