/// <reference types="@webgpu/types" preserve="true" />
/**
 * The package's entry in Node: `import { openEngine, ops, noGrad } from 'ct-lite'`.
 *
 * In browsers the same names come from src/browser.ts.
 */
import { fileURLToPath } from 'node:url';
import { Engine } from './autograd/index.ts';
import { bytesAccess, openWeights } from './data/index.ts';
import { Device } from './engine/index.ts';
import { loadCtClip as loadCtClipFrom, type CtClip, type CtClipOptions, type WeightSource } from './model/index.ts';
import { requestNodeAdapter } from './platform/node-adapter.ts';
import { fileAccess } from './platform/node-random-access.ts';
import { nodeTuningStore } from './platform/node-tuning-store.ts';

export { checkpoint, Engine, isGradEnabled, noGrad, ops, Tensor } from './autograd/index.ts';
export type { PlanChoices, TensorOptions, TunedPlan, TuneOptions, TuningReport } from './autograd/index.ts';
export { Device, DeviceLostError, EngineError, OutOfMemoryError } from './engine/index.ts';
export { openWeights, bytesAccess, blobAccess, loadTokenizer, type RandomAccess, type TensorFile, type Tokenizer, type TokenizerSource } from './data/index.ts';
export { prefixed, type CtClip, type CtClipEncoding, type CtClipKeys, type CtClipOptions, type TextBatch, type WeightSource } from './model/index.ts';
export { fileAccess };
export type { DType, KernelTime, PoolStats, Shape, TuningStore } from './engine/index.ts';

export interface OpenEngineOptions {
  /** `swiftshader`, `lavapipe`, or a part of the adapter's name; without it the machine's best. */
  adapter?: string;
  /** Most bytes of GPU buffers, in use and held for reuse together. Default: no limit but the adapter's. */
  memoryBudget?: number;
  /** Submits every dispatch by itself: slow, but an error names its very op. */
  debug?: boolean;
  /**
   * Remembers which kernels run, so that `await engine.tune()` can measure their plans and take the fastest; what it finds is kept in
   * the cache folder (`$CT_LITE_CACHE`). Without it the fixed plans: the same bits in every run on an adapter.
   */
  tune?: boolean;
}

/**
 * Opens an engine on a GPU, or on SwiftShader where Linux x64 has no usable Vulkan driver.
 * @throws Error naming the adapters that were seen where none fits, EngineError where the adapter lacks the limits needed.
 */
export async function openEngine({ adapter, memoryBudget, debug, tune = false }: OpenEngineOptions = {}): Promise<Engine> {
  const chosen = await requestNodeAdapter(adapter === undefined ? {} : { adapter });
  const device = await Device.open(chosen.adapter, { collectGarbage: chosen.collectGarbage, ...(memoryBudget !== undefined && { memoryBudget }), ...(debug !== undefined && { debug }) });
  const engine = new Engine(device, { tuningStore: nodeTuningStore() });
  engine.plans.isNoting = tune;
  return engine;
}

/**
 * CT-CLIP with the weights of a checkpoint: a path or file URL, its bytes, or an opened source. The image encoder, and with
 * `{ text: true }` the text tower too. `.pt`, `.pth`, `.bin` and `.safetensors` are told apart by content; nothing in them is run, and
 * they are read a tensor at a time.
 * @throws Error naming the file and what is missing, of another shape, or no tensor
 */
export async function loadCtClip(engine: Engine, file: string | URL | Uint8Array | WeightSource, options?: CtClipOptions): Promise<CtClip> {
  if (typeof file === 'string' || file instanceof URL) {
    const path = typeof file === 'string' ? file : fileURLToPath(file);
    return loadCtClipFrom(engine, await openWeights(await fileAccess(path), path), options);
  }
  return loadCtClipFrom(engine, file instanceof Uint8Array ? await openWeights(bytesAccess(file), 'checkpoint') : file, options);
}
