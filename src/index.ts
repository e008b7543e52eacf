/**
 * The package's entry in Node: `import { openEngine, ops, noGrad } from 'ct-lite'`.
 *
 * In browsers the same names come from src/browser.ts.
 */
import { Engine } from './autograd/index.ts';
import { Device } from './engine/index.ts';
import { requestNodeAdapter } from './platform/node-adapter.ts';

export { checkpoint, Engine, isGradEnabled, noGrad, ops, Tensor } from './autograd/index.ts';
export type { TensorOptions } from './autograd/index.ts';
export { Device, DeviceLostError, EngineError, OutOfMemoryError } from './engine/index.ts';
export type { DType, KernelTime, PoolStats, Shape } from './engine/index.ts';

export interface OpenEngineOptions {
  /** `swiftshader`, `lavapipe`, or a part of the adapter's name; without it the machine's best. */
  adapter?: string;
  /** Most bytes of GPU buffers, in use and held for reuse together. Default: no limit but the adapter's. */
  memoryBudget?: number;
  /** Submits every dispatch by itself: slow, but an error names its very op. */
  debug?: boolean;
}

/**
 * Opens an engine on a GPU, or on SwiftShader where Linux x64 has no usable Vulkan driver.
 * @throws Error naming the adapters that were seen where none fits, EngineError where the adapter lacks the limits needed.
 */
export async function openEngine({ adapter, memoryBudget, debug }: OpenEngineOptions = {}): Promise<Engine> {
  const chosen = await requestNodeAdapter(adapter === undefined ? {} : { adapter });
  return new Engine(await Device.open(chosen.adapter, { ...(memoryBudget !== undefined && { memoryBudget }), ...(debug !== undefined && { debug }) }));
}
