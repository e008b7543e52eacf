/** CT-CLIP with its tokenizer, ready for the evaluation protocol: a checkpoint, and the Hugging Face folder of its text tower. */
import type { Engine } from '../autograd/index.ts';
import { readTokenizerFolder, type FileSystem, type Tokenizer } from '../data/index.ts';
import { inferCtClip, inferTextTower, loadCtClipBaseline, parseBertConfig, type BertConfig, type CtClipBaseline, type CtClipOptions, type WeightSource } from '../model/index.ts';

/** Where CXR-BERT's vocabulary, that of CT-CLIP's released weights, has [CLS]. */
const cxrBertClsId = 2;

export interface OpenedBaseline {
  model: CtClipBaseline;
  tokenizer: Tokenizer;
  /** What does not look right although it fits, in sentences. */
  warnings: string[];
}

/**
 * Reads `folder` first, then the checkpoint: what does not fit is told before gigabytes are read. Of the folder `vocab.txt` (with
 * `tokenizer_config.json`) or `tokenizer.json` is needed; `config.json`, where it is there, must describe the checkpoint's tower.
 * @throws Error naming the folder or file, where the tokenizer is missing or is not of as many tokens as the checkpoint, and as `loadCtClip`
 */
export async function openCtClipBaseline(engine: Engine, files: FileSystem, source: WeightSource, folder: string, options: Pick<CtClipOptions, 'patch' | 'onProgress'> = {}): Promise<OpenedBaseline> {
  const tokenizer = await readTokenizerFolder(files, folder);
  const told = await describedTower(files, folder);
  // The heads are in no shape; those of config.json divide its width.
  const found = inferTextTower(inferCtClip(source, options.patch), told ? { heads: 1 } : {});
  if (told) requireSameSizes(files.join(folder, 'config.json'), told, source.name, found);
  const rows = found.vocabularySize;
  if (tokenizer.vocabularySize !== rows) throw new Error(`openCtClipBaseline: ${folder}: the tokenizer has ${tokenizer.vocabularySize} tokens, the text tower of ${source.name} has ${rows}; give the vocabulary that the checkpoint was trained with (of the released one microsoft/BiomedVLP-CXR-BERT-specialized)`);
  const warnings = tokenizer.clsId === cxrBertClsId ? [] : [`The vocabulary has [CLS] at ${tokenizer.clsId}, CXR-BERT's at ${cxrBertClsId}: the scores mean nothing if the checkpoint was trained with CXR-BERT, as CT-CLIP's released ones were.`];
  const model = await loadCtClipBaseline(engine, source, { ...options, text: told?.text ?? true });
  return { model, tokenizer, warnings };
}

/** The folder's config.json, which tells the heads; null where there is none. */
async function describedTower(files: FileSystem, folder: string): Promise<BertConfig | null> {
  const path = files.join(folder, 'config.json');
  return (await files.exists(path)) ? parseBertConfig(new TextDecoder().decode(await files.readFile(path)), path) : null;
}

function requireSameSizes(configFile: string, told: BertConfig, weightFile: string, found: BertConfig): void {
  const sizes = ({ text, vocabularySize }: BertConfig): Record<string, number> => ({
    vocab_size: vocabularySize, hidden_size: text.width, num_hidden_layers: text.layers, intermediate_size: text.feedForward, max_position_embeddings: text.maxPositions,
  });
  const inFile = sizes(found);
  const different = Object.entries(sizes(told)).filter(([name, size]) => inFile[name] !== size);
  if (different.length) throw new Error(`openCtClipBaseline: ${configFile}: ${different.map(([name, size]) => `${name} is ${size}, ${inFile[name]} in ${weightFile}`).join('; ')}; give the folder of the checkpoint's own text tower`);
}
