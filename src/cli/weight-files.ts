import { openWeights, type TensorFile } from '../data/index.ts';
import { fileAccess } from '../platform/node-random-access.ts';

/** Opens a checkpoint by its content: safetensors, or PyTorch's ZIP (.bin, .pt). Only its index is read. */
export async function openWeightFile(path: string): Promise<TensorFile> {
  return openWeights(await fileAccess(path), path);
}
