/** Dense projection heads of a checkpoint to Block Tensor Trains, without a GPU. */
import { compressDenseHead, fullRank, presets, rankKeeping, type HeadConfig } from '../model/index.ts';
import type { TrainConfig } from './config.ts';
import { named, readCheckpointHeader } from './run-state.ts';
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from './safetensors.ts';

export interface CompressedHeadReport {
  /** `student.imageHead`, for example. */
  head: string;
  inFeatures: number;
  latent: number;
  /** ‖W − Ŵ‖_F / ‖W‖_F. */
  relativeError: number;
  /** With the bias; after with the two γ also. */
  parametersBefore: number;
  parametersAfter: number;
}

export interface CompressedCheckpoint {
  bytes: Uint8Array;
  rank: number;
  heads: CompressedHeadReport[];
}

/** `rank` of every block, or the share of a dense head's weights to `keep`; neither: the preset's rank, about half. */
export interface CompressionChoice {
  rank?: number;
  keep?: number;
}

/**
 * Converts the dense heads of all models in a checkpoint (see `compressDenseHead`). The rest is copied, but for the optimiser's state, which
 * belongs to the dense heads: training goes on from the result by --init.
 *
 * @throws Error naming the file where it is no checkpoint, its heads are not dense, or the rank does not fit
 */
export function compressCheckpoint(bytes: Uint8Array, name: string, choice: CompressionChoice): CompressedCheckpoint {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  const { config } = readCheckpointHeader(metadata, name);
  if (config.head !== 'dense') throw new Error(`${name}: its projection heads are ${config.head === 'sfp' ? 'Block Tensor Trains' : config.head} already; give a checkpoint that was trained with --head dense`);
  const head = headConfig(config, choice, name);
  const kept: Record<string, SafetensorsTensor> = {};
  const heads: CompressedHeadReport[] = [];
  for (const [key, tensor] of Object.entries(tensors)) {
    if (key.startsWith('optimizer.')) continue;
    const [, path] = /^((?:teacher|student)\.(?:imageHead|textHead))\.weight$/.exec(key) ?? [];
    if (!path) {
      kept[key] = tensor;
      continue;
    }
    const [latent, inFeatures] = tensor.shape as [number, number];
    const cores = named(`${name}: ${path}`, () => compressDenseHead(tensor.data as Float32Array, inFeatures, head));
    kept[`${path}.core0`] = { dtype: 'F32', shape: cores.shape0, data: cores.core0 };
    kept[`${path}.core1`] = { dtype: 'F32', shape: cores.shape1, data: cores.core1 };
    kept[`${path}.gamma0`] = { dtype: 'F32', shape: [1], data: Float32Array.of(cores.gamma0) };
    kept[`${path}.gamma1`] = { dtype: 'F32', shape: [1], data: Float32Array.of(cores.gamma1) };
    heads.push({ head: path, inFeatures, latent, relativeError: cores.relativeError, parametersBefore: latent * inFeatures + latent, parametersAfter: cores.core0.length + cores.core1.length + 2 + latent });
  }
  if (!heads.length) throw new Error(`${name}: holds no dense projection head; the checkpoint is incomplete`);
  const { rank } = head;
  return { rank, heads, bytes: encodeSafetensors(kept, { ...metadata, optimizerSteps: '0', config: JSON.stringify({ ...config, head: 'sfp', headRank: rank } satisfies TrainConfig) }) };
}

function headConfig({ preset }: TrainConfig, { rank, keep }: CompressionChoice, name: string): HeadConfig {
  const { head } = presets[preset];
  const chosen = rank ?? (keep === undefined ? head.rank : rankKeeping(keep, head));
  if (chosen > fullRank(head)) throw new Error(`${name}: blocks of ${head.blockLength} × ${head.outFactors[1]} have rank ${fullRank(head)} at most, got ${chosen}; choose a lower --rank`);
  return { ...head, rank: chosen };
}
