/** BERT's released weights and configuration, under the names of Hugging Face's BertModel [C], into our `Bert`. */
import { bertDefaults, type Bert } from './bert.ts';
import { compareKeys, fillWeights, requireKeys, type WeightTarget } from './load-weights.ts';
import type { TextConfig } from './presets.ts';
import type { WeightSource } from './weight-source.ts';

/** What of a file went into the model. Everything missing or of a wrong shape is thrown instead. */
export interface BertWeightReport {
  /** What stood before `embeddings.…` in the file: '' or 'bert.', for example. */
  prefix: string;
  used: string[];
  /** In the file but not in the tower: pooler, masked-language head, CXR-BERT's `cls_projection_head`, position ids. */
  unused: string[];
}

const WORD_EMBEDDINGS = 'embeddings.word_embeddings.weight';

/** Our names of the parts that carry weight and bias → Hugging Face's. */
const LAYER_PARTS: Record<string, string> = {
  query: 'attention.self.query',
  key: 'attention.self.key',
  value: 'attention.self.value',
  attentionOutput: 'attention.output.dense',
  attentionNorm: 'attention.output.LayerNorm',
  intermediate: 'intermediate.dense',
  output: 'output.dense',
  outputNorm: 'output.LayerNorm',
};
const TABLES: Record<string, string> = {
  wordEmbeddings: WORD_EMBEDDINGS,
  positionEmbeddings: 'embeddings.position_embeddings.weight',
  tokenTypeEmbeddings: 'embeddings.token_type_embeddings.weight',
};
/** LayerNorm's weight and bias in checkpoints converted from TensorFlow. */
const OLD_NORM_NAMES: Record<string, string> = { weight: 'gamma', bias: 'beta' };

/** `layers.0.query.weight` → `encoder.layer.0.attention.self.query.weight`. */
function huggingFaceName(path: string): string {
  const table = TABLES[path];
  if (table) return table;
  const [, norm] = /^embeddingsNorm\.(\w+)$/.exec(path) ?? [];
  if (norm) return `embeddings.LayerNorm.${norm}`;
  const [, layer, part, kind] = /^layers\.(\d+)\.(\w+)\.(\w+)$/.exec(path)!;
  return `encoder.layer.${layer}.${LAYER_PARTS[part!]}.${kind}`;
}

/**
 * Fills `bert` from a checkpoint, one tensor at a time. Names may stand behind any prefix (`bert.`, `text_transformer.`, none), and
 * LayerNorm's may be the old `gamma` and `beta`.
 *
 * @throws Error with the key report, naming the file and the first tensors that are missing or of another shape; nothing is filled then
 */
export async function loadBertWeights(bert: Bert, source: WeightSource): Promise<BertWeightReport> {
  const prefix = prefixOf(source);
  const targets = bertTargets(bert, source);
  const keys = compareKeys(source, targets);
  requireKeys('loadBertWeights', source, keys);
  await fillWeights(bert.wordEmbeddings.engine, source, targets);
  return { prefix, used: keys.used, unused: keys.unused };
}

/** Which tensors of a checkpoint fill which parameters, under whatever prefix and LayerNorm names it has. */
export function bertTargets(bert: Bert, source: WeightSource): WeightTarget[] {
  const prefix = prefixOf(source);
  return [...bert.namedParameters()].map(([path, tensor]): WeightTarget => {
    const name = prefix + huggingFaceName(path);
    const old = name.replace(/(LayerNorm\.)(weight|bias)$/, (_, norm: string, kind: string) => norm + OLD_NORM_NAMES[kind]);
    return { name: source.tensors.has(old) ? old : name, shape: tensor.shape, parts: [tensor] };
  });
}

/** What a BERT's shapes do not tell. */
export interface BertExtras {
  /** Attention heads; default one for 64 channels, as in every released BERT. */
  heads?: number;
  /** Epsilon of the LayerNorms; default BERT's 1e-12. */
  normEps?: number;
}

const headChannels = 64;

/**
 * The sizes of a BERT from the shapes of its tensors, for a checkpoint without a config.json.
 * @throws Error naming the tensor that is missing or has an impossible shape, and where the heads must be given
 */
export function inferBertConfig(source: WeightSource, { heads, normEps }: BertExtras = {}): BertConfig {
  const prefix = prefixOf(source);
  const matrix = (name: string): [number, number] => {
    const found = source.tensors.get(prefix + name)?.shape;
    if (found?.length === 2 && found.every((size) => size > 0)) return found as [number, number];
    throw new Error(`inferBertConfig: ${source.name}: tensor "${prefix}${name}" must be a matrix, got ${found ? `[${found.join(', ')}]` : 'none'}; give the weights of a BERT`);
  };
  const [vocabularySize, width] = matrix(WORD_EMBEDDINGS);
  let layers = 0;
  while (source.tensors.has(`${prefix}encoder.layer.${layers}.attention.self.query.weight`)) layers++;
  const count = heads ?? width / headChannels;
  if (!(Number.isInteger(count) && count > 0 && width % count === 0)) throw new Error(`inferBertConfig: ${source.name}: ${heads === undefined ? `the shapes of a BERT of width ${width} do not tell its heads` : `heads must divide the width ${width}, got ${heads}`}; give num_attention_heads of its config.json`);
  const text: TextConfig = {
    width, layers, heads: count,
    feedForward: matrix('encoder.layer.0.intermediate.dense.weight')[0],
    maxPositions: matrix(TABLES.positionEmbeddings!)[0],
    tokenTypes: matrix(TABLES.tokenTypeEmbeddings!)[0],
    normEps: normEps ?? bertDefaults.normEps,
  };
  return { text, vocabularySize };
}

function prefixOf({ name, tensors }: WeightSource): string {
  const words = [...tensors.keys()].filter((each) => each === WORD_EMBEDDINGS || each.endsWith(`.${WORD_EMBEDDINGS}`));
  if (words.length === 1) return words[0]!.slice(0, -WORD_EMBEDDINGS.length);
  const rule = words.length ? `only one tensor may be named …${WORD_EMBEDDINGS}, got ${words.join(', ')}` : `no tensor is named ${WORD_EMBEDDINGS}`;
  throw new Error(`loadBertWeights: ${name}: ${rule}; give the weights of one BERT model`);
}

export interface BertConfig {
  text: TextConfig;
  vocabularySize: number;
}

const MODEL_TYPES = ['bert', 'cxr-bert'];
const EXACT_GELU = ['gelu', 'gelu_python'];

/**
 * Reads Hugging Face's config.json of a BERT. `name` is the file, for errors.
 * @throws Error where it is not JSON, lacks a size, or describes what `Bert` does not compute: another model type, activation or kind of
 *   position, or a decoder
 */
export function parseBertConfig(json: string, name: string): BertConfig {
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(json) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`parseBertConfig: ${name}: is not valid JSON; give the config.json of a BERT`, { cause });
  }
  const fail = (field: string, rule: string): Error => new Error(`parseBertConfig: ${name}: ${field} must be ${rule}, got ${JSON.stringify(config[field])}; give the config.json of a BERT encoder`);
  const size = (field: string, fallback?: number): number => {
    const value = config[field] ?? fallback;
    if (!Number.isSafeInteger(value) || (value as number) < 1) throw fail(field, 'a whole number of at least 1');
    return value as number;
  };
  const oneOf = (field: string, allowed: readonly unknown[], fallback: unknown): void => {
    if (!allowed.includes(config[field] ?? fallback)) throw fail(field, allowed.map((value) => JSON.stringify(value)).join(' or '));
  };
  if (typeof config !== 'object' || config === null) throw new Error(`parseBertConfig: ${name}: must be an object; give the config.json of a BERT`);
  oneOf('model_type', MODEL_TYPES, 'bert');
  oneOf('hidden_act', EXACT_GELU, 'gelu');
  oneOf('position_embedding_type', ['absolute'], 'absolute');
  oneOf('is_decoder', [false], false);
  const text: TextConfig = {
    width: size('hidden_size'),
    layers: size('num_hidden_layers'),
    heads: size('num_attention_heads'),
    feedForward: size('intermediate_size'),
    maxPositions: size('max_position_embeddings'),
    tokenTypes: size('type_vocab_size', bertDefaults.tokenTypes),
    normEps: (config.layer_norm_eps as number | undefined) ?? bertDefaults.normEps,
  };
  if (typeof text.normEps !== 'number' || !(text.normEps >= 0)) throw fail('layer_norm_eps', 'a number of at least 0');
  if (text.width % text.heads !== 0) throw fail('num_attention_heads', `a divisor of hidden_size ${text.width}`);
  return { text, vocabularySize: size('vocab_size') };
}
