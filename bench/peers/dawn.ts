/** Gives the engines that were written for browsers our adapter, as `navigator.gpu`. */
import { createRequire } from 'node:module';
import { requestNodeAdapter } from '../../src/platform/node-adapter.ts';

/** Defines `navigator.gpu`, whose adapter is the one that ct-lite computes on. */
export async function provideNavigatorGpu(adapter?: string): Promise<void> {
  const chosen = await requestNodeAdapter(adapter === undefined ? {} : { adapter });
  const { globals } = createRequire(import.meta.url)('webgpu') as { globals: Record<string, unknown> };
  Object.assign(globalThis, globals); // GPUBufferUsage and the like
  const gpu = {
    requestAdapter: async () => (await requestNodeAdapter(adapter === undefined ? {} : { adapter })).adapter,
    getPreferredCanvasFormat: () => 'rgba8unorm',
    wgslLanguageFeatures: chosen.gpu.wgslLanguageFeatures,
  };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'Node', hardwareConcurrency: 2 }, configurable: true });
}

/** The version of an installed package. */
export function versionOf(name: string): string {
  const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
  return `${name} ${version}`;
}
