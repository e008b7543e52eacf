/** Files of foreign weights as `WeightSource`: the one place that knows their formats. */
import type { WeightSource } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { decodeSafetensors, safetensorsWeights } from '../train/index.ts';

/** Opens weights by their file's ending. Throws naming the file where the format is none that is read. */
export async function openWeights(path: string): Promise<WeightSource> {
  if (path.endsWith('.safetensors')) return safetensorsWeights(decodeSafetensors(await nodeFiles.readFile(path), path), path);
  // PyTorch's zip (.bin, .pt): its reader is a WeightSource too and belongs here.
  throw new Error(`openWeights: ${path}: is read as .safetensors only; save the weights as safetensors`);
}
