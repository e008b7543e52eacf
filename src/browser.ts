/// <reference types="@webgpu/types" preserve="true" />
/** The package's entry in browsers: the names of src/index.ts, on `navigator.gpu`. */
import { Engine } from './autograd/index.ts';
import { blobAccess, bytesAccess, openWeights } from './data/index.ts';
import { Device } from './engine/index.ts';
import { loadCtClip as loadCtClipFrom, type CtClip, type CtClipOptions, type WeightSource } from './model/index.ts';
import { requestBrowserAdapter } from './platform/browser-adapter.ts';
import type { BrowserAdapterOptions } from './platform/browser-adapter.ts';
import { browserTuningStore } from './platform/browser-tuning-store.ts';

export { checkpoint, Engine, isGradEnabled, noGrad, ops, Tensor } from './autograd/index.ts';
export type { PlanChoices, TensorOptions, TunedPlan, TuneOptions, TuningReport } from './autograd/index.ts';
export { Device, DeviceLostError, EngineError, OutOfMemoryError } from './engine/index.ts';
export { openWeights, bytesAccess, blobAccess, loadTokenizer, type RandomAccess, type TensorFile, type Tokenizer, type TokenizerSource } from './data/index.ts';
export { prefixed, type CtClip, type CtClipEncoding, type CtClipKeys, type CtClipOptions, type TextBatch, type WeightSource } from './model/index.ts';
export type { DType, KernelTime, PoolStats, Shape, TuningStore } from './engine/index.ts';

export interface OpenEngineOptions extends BrowserAdapterOptions {
  /** Most bytes of GPU buffers, in use and held for reuse together. Default: no limit but the adapter's. */
  memoryBudget?: number;
  /** Submits every dispatch by itself: slow, but an error names its very op. */
  debug?: boolean;
  /**
   * Remembers which kernels run, so that `await engine.tune()` can measure their plans and take the fastest; what it finds is kept in
   * IndexedDB. Without it the fixed plans: the same bits in every run on an adapter.
   */
  tune?: boolean;
}

/** Opens an engine on the browser's GPU. Throws with a remedy where the page has no WebGPU. */
export async function openEngine({ memoryBudget, debug, tune = false, ...adapterOptions }: OpenEngineOptions = {}): Promise<Engine> {
  const adapter = await requestBrowserAdapter(adapterOptions);
  const device = await Device.open(adapter, { ...(memoryBudget !== undefined && { memoryBudget }), ...(debug !== undefined && { debug }) });
  const engine = new Engine(device, { tuningStore: browserTuningStore() });
  engine.plans.isNoting = tune;
  return engine;
}

/** CT-CLIP with the weights of a checkpoint: a file that the user picked, its bytes, or an opened source. As in Node. */
export async function loadCtClip(engine: Engine, file: Blob | Uint8Array | WeightSource, options?: CtClipOptions): Promise<CtClip> {
  if (file instanceof Blob) return loadCtClipFrom(engine, await openWeights(blobAccess(file), 'name' in file ? String(file.name) : 'checkpoint'), options);
  return loadCtClipFrom(engine, file instanceof Uint8Array ? await openWeights(bytesAccess(file), 'checkpoint') : file, options);
}
