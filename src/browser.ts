/** The package's entry in browsers: the names of src/index.ts, on `navigator.gpu`. */
import { Engine } from './autograd/index.ts';
import { Device } from './engine/index.ts';
import { requestBrowserAdapter } from './platform/browser-adapter.ts';
import type { BrowserAdapterOptions } from './platform/browser-adapter.ts';

export { checkpoint, Engine, isGradEnabled, noGrad, ops, Tensor } from './autograd/index.ts';
export type { TensorOptions } from './autograd/index.ts';
export { Device, DeviceLostError, EngineError, OutOfMemoryError } from './engine/index.ts';
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
