/** A small random BERT as a Hugging Face folder: what tests of the text tower start from. */
import type { FileSystem } from '../../src/data/index.ts';
import { encodeSafetensors } from '../../src/train/index.ts';
import { randomArray } from './arrays.ts';

export interface BertFolderOptions {
  vocabTxt: string;
  seed?: number;
  /** Changes to config.json. */
  config?: object;
}

const sizes = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 20, max_position_embeddings: 64, type_vocab_size: 2 };

/** Writes config.json, vocab.txt and model.safetensors, under the names of Hugging Face's BertModel. */
export async function writeBertFolder(files: FileSystem, folder: string, { vocabTxt, seed = 5, config = {} }: BertFolderOptions): Promise<void> {
  const vocabulary = vocabTxt.trimEnd().split('\n').length;
  const { hidden_size: width, intermediate_size: inner } = sizes;
  const tensors: Parameters<typeof encodeSafetensors>[0] = {};
  const add = (name: string, shape: number[], scale: number, shift = 0): void => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    tensors[name] = { dtype: 'F32', shape, data: Float32Array.from(randomArray(size, seed + Object.keys(tensors).length, { scale, shift })) };
  };
  const linear = (name: string, out: number, inputs: number): void => {
    add(`${name}.weight`, [out, inputs], 0.4);
    add(`${name}.bias`, [out], 0.1);
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, [width], 0.2, 1);
    add(`${name}.bias`, [width], 0.2);
  };
  add('embeddings.word_embeddings.weight', [vocabulary, width], 1);
  add('embeddings.position_embeddings.weight', [sizes.max_position_embeddings, width], 0.3);
  add('embeddings.token_type_embeddings.weight', [sizes.type_vocab_size, width], 0.3);
  norm('embeddings.LayerNorm');
  for (let layer = 0; layer < sizes.num_hidden_layers; layer++) {
    const at = `encoder.layer.${layer}`;
    for (const part of ['query', 'key', 'value']) linear(`${at}.attention.self.${part}`, width, width);
    linear(`${at}.attention.output.dense`, width, width);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, inner, width);
    linear(`${at}.output.dense`, width, inner);
    norm(`${at}.output.LayerNorm`);
  }
  linear('pooler.dense', width, width);
  const encoder = new TextEncoder();
  await files.makeDirectory(folder);
  await files.writeFile(files.join(folder, 'config.json'), encoder.encode(JSON.stringify({ model_type: 'bert', hidden_act: 'gelu', vocab_size: vocabulary, ...sizes, ...config })));
  await files.writeFile(files.join(folder, 'vocab.txt'), encoder.encode(vocabTxt));
  await files.writeFile(files.join(folder, 'model.safetensors'), encodeSafetensors(tensors));
}
