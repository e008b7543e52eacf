/** A pretrained text tower from a Hugging Face folder: sizes, weights and tokenizer. */
import type { Engine } from '../autograd/index.ts';
import { readTokenizerFolder, type FileSystem, type Tokenizer } from '../data/index.ts';
import { Bert, BlankInitializer, loadBertWeights, parseBertConfig, type WeightSource } from '../model/index.ts';
import type { TextTowerConfig } from './config.ts';
import { sha256, sha256OfText } from './digest.ts';

/** In the order in which they are looked for. */
const WEIGHT_FILES = ['model.safetensors', 'pytorch_model.bin'];
/** The evaluation's prompts are cut at this many tokens: a tower has to have positions for them. */
const leastPositions = 64;

export interface TextTower {
  /** Without gradients. */
  bert: Bert;
  tokenizer: Tokenizer;
  config: TextTowerConfig;
  /** Tensors of the file that the tower has no place for: pooler, heads. */
  unused: string[];
}

/**
 * Reads `config.json`, `vocab.txt` (with `tokenizer_config.json`) or `tokenizer.json`, and `model.safetensors` or `pytorch_model.bin`
 * of a BERT or CXR-BERT.
 *
 * @param openWeights opens a file of weights, whatever its format
 * @throws Error naming the file, where one is missing, is none of a BERT, or does not fit the others
 */
export async function openTextTower(engine: Engine, files: FileSystem, folder: string, frozen: boolean, openWeights: (path: string) => Promise<WeightSource>): Promise<TextTower> {
  const { configFile, weightFile } = await findTextTower(files, folder);
  const { text, vocabularySize } = parseBertConfig(new TextDecoder().decode(await files.readFile(configFile)), configFile);
  if (text.maxPositions < leastPositions) throw new Error(`openTextTower: ${configFile}: max_position_embeddings must be at least ${leastPositions}, got ${text.maxPositions}; choose another text tower`);
  const tokenizer = await readTokenizerFolder(files, folder);
  if (tokenizer.vocabularySize > vocabularySize) throw new Error(`openTextTower: ${folder}: the tokenizer knows ${tokenizer.vocabularySize} tokens, config.json has vocab_size ${vocabularySize}; give the vocabulary that belongs to the weights`);
  const source = await openWeights(weightFile);
  const bert = new Bert(new BlankInitializer(engine), text, vocabularySize).requireGrad(false);
  try {
    const digests = [await sha256OfText(JSON.stringify({ text, vocabularySize }))];
    const hashing: WeightSource = {
      name: source.name,
      tensors: source.tensors,
      readFloat32: async (name, range) => {
        const values = await source.readFloat32(name, range);
        digests.push(await sha256(values));
        return values;
      },
    };
    const { unused } = await loadBertWeights(bert, hashing);
    const name = folder.split(/[\\/]/).filter(Boolean).pop() ?? folder;
    return { bert, tokenizer, unused, config: { name, text, vocabularySize, frozen, weights: await sha256OfText(digests.join()) } };
  } catch (error) {
    bert.dispose();
    throw error;
  }
}

/** The files of a text tower. Throws naming the folder where one is missing: ask before long work. */
export async function findTextTower(files: FileSystem, folder: string): Promise<{ configFile: string; weightFile: string }> {
  const configFile = files.join(folder, 'config.json');
  if (!(await files.exists(configFile))) throw new Error(`openTextTower: ${folder}: holds no config.json; give the folder of a Hugging Face BERT`);
  for (const name of WEIGHT_FILES) if (await files.exists(files.join(folder, name))) return { configFile, weightFile: files.join(folder, name) };
  throw new Error(`openTextTower: ${folder}: holds neither ${WEIGHT_FILES.join(' nor ')}; download the weights into the folder`);
}
