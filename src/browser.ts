/// <reference types="@webgpu/types" preserve="true" />
/** The package's entry in browsers: the names of src/index.ts, on `navigator.gpu`. */
import { Engine } from './autograd/index.ts';
import { blobAccess, bytesAccess, openWeights } from './data/index.ts';
import { Device } from './engine/index.ts';
import { loadCtClip as loadCtClipFrom, type CtClip, type CtClipOptions, type WeightSource } from './model/index.ts';
import { requestBrowserAdapter } from './platform/browser-adapter.ts';
import type { BrowserAdapterOptions } from './platform/browser-adapter.ts';

export { checkpoint, Engine, isGradEnabled, noGrad, ops, Tensor } from './autograd/index.ts';
export type { TensorOptions } from './autograd/index.ts';
export { Device, DeviceLostError, EngineError, OutOfMemoryError } from './engine/index.ts';
export { openWeights, bytesAccess, blobAccess, loadTokenizer, type RandomAccess, type TensorFile, type Tokenizer, type TokenizerSource } from './data/index.ts';
export { prefixed, type CtClip, type CtClipEncoding, type CtClipKeys, type CtClipOptions, type TextBatch, type WeightSource } from './model/index.ts';
export type { DType, KernelTime, PoolStats, Shape } from './engine/index.ts';

export interface OpenEngineOptions extends BrowserAdapterOptions {
  /** Most bytes of GPU buffers, in use and held for reuse together. Default: no limit but the adapter's. */
  memoryBudget?: number;
  /** Submits every dispatch by itself: slow, but an error names its very op. */
  debug?: boolean;
}

/** Opens an engine on the browser's GPU. Throws with a remedy where the page has no WebGPU. */
export async function openEngine({ memoryBudget, debug, ...adapterOptions }: OpenEngineOptions = {}): Promise<Engine> {
  const adapter = await requestBrowserAdapter(adapterOptions);
  return new Engine(await Device.open(adapter, { ...(memoryBudget !== undefined && { memoryBudget }), ...(debug !== undefined && { debug }) }));
}

/** CT-CLIP with the weights of a checkpoint: a file that the user picked, its bytes, or an opened source. As in Node. */
export async function loadCtClip(engine: Engine, file: Blob | Uint8Array | WeightSource, options?: CtClipOptions): Promise<CtClip> {
  if (file instanceof Blob) return loadCtClipFrom(engine, await openWeights(blobAccess(file), 'name' in file ? String(file.name) : 'checkpoint'), options);
  return loadCtClipFrom(engine, file instanceof Uint8Array ? await openWeights(bytesAccess(file), 'checkpoint') : file, options);
}
