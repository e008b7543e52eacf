import { openPytorch } from './pytorch-file.ts';
import type { RandomAccess } from './random-access.ts';
import { openSafetensors } from './safetensors-file.ts';
import type { TensorFile } from './tensor-file.ts';

/**
 * Opens a checkpoint by its content: safetensors, or PyTorch's ZIP (.pt, .pth, .bin). Only its index is read.
 *
 * @param name the file, for errors
 * @throws Error naming the file, what it is and what to do, where it is neither or damaged
 */
export async function openWeights(access: RandomAccess, name: string): Promise<TensorFile> {
  const first = await access.read(0, Math.min(16, access.byteLength));
  if (first[0] === 0x50 && first[1] === 0x4b) return openPytorch(access, name);
  if (first[0] === 0x80 && first[1]! >= 1 && first[1]! <= 5) {
    throw new Error(`openWeights: ${name}: this is a pickle, the format of PyTorch before 1.6, which is not read; convert it in a PyTorch that you trust it with: torch.save(torch.load("${name.replace(/^.*[\\/]/, '')}", map_location="cpu"), "converted.pt")`);
  }
  if (first[8] === 0x7b) return openSafetensors(access, name);
  throw new Error(`openWeights: ${name}: this is neither a safetensors file nor a PyTorch checkpoint (${access.byteLength} bytes); give a .safetensors, .pt, .pth or .bin file`);
}
