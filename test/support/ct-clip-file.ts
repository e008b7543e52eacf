/** A whole CT-CLIP checkpoint of tiny sizes: CTViT of a fixture, and the BERT of a Hugging Face folder beside it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { encodeSafetensors, decodeSafetensors } from '../../src/train/index.ts';
import { randomArray } from './arrays.ts';

const cube = new URL('../fixtures/model/ct-clip-cube.safetensors', import.meta.url);
const latent = 4;

/**
 * Writes the tensors of `ct-clip-cube` (volumes of 8 × 16 × 16) with the text tower of `bertFile`, its projection, and a temperature.
 * @param width of the text tower
 */
export function writeCtClipFile(path: string, bertFile: string, width = 16): void {
  const read = (file: string | URL): ReturnType<typeof decodeSafetensors>['tensors'] => decodeSafetensors(new Uint8Array(readFileSync(file)), String(file)).tensors;
  const weights = Object.entries(read(cube)).filter(([name]) => !name.startsWith('io.'));
  const tower = Object.entries(read(bertFile)).map(([name, tensor]) => [`text_transformer.${name}`, tensor] as const);
  const projection = { dtype: 'F32', shape: [latent, width], data: Float32Array.from(randomArray(latent * width, 41)) } as const;
  const temperature = { dtype: 'F32', shape: [], data: Float32Array.of(1.4) } as const;
  writeFileSync(path, encodeSafetensors({ ...Object.fromEntries([...weights, ...tower]), 'to_text_latent.weight': { ...projection, shape: [...projection.shape] }, temperature: { ...temperature, shape: [] } }));
}
