import { openWeights } from '../data/index.ts';
import { openFile } from '../platform/node-random-access.ts';
import type { OpenedWeights } from '../train/index.ts';

/** Opens a checkpoint by its content: safetensors, or PyTorch's ZIP (.bin, .pt). Close it when its tensors are read. */
export async function openWeightFile(path: string): Promise<OpenedWeights> {
  const access = await openFile(path);
  try {
    const file = await openWeights(access, path);
    return { name: file.name, tensors: file.tensors, readFloat32: (name) => file.readFloat32(name), close: () => access.close() };
  } catch (error) {
    await access.close();
    throw error;
  }
}
