/** A WebGPU adapter in a browser, through `navigator.gpu`. */

export interface BrowserAdapterOptions {
  /** Default `high-performance`: on a laptop with two GPUs the stronger one. */
  powerPreference?: GPUPowerPreference;
}

/**
 * The adapter that the browser offers.
 * @throws Error with a remedy where the browser has no WebGPU, the page is not served securely, or no adapter is offered.
 */
export async function requestBrowserAdapter({ powerPreference = 'high-performance' }: BrowserAdapterOptions = {}): Promise<GPUAdapter> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!gpu) {
    const remedy =
      globalThis.isSecureContext === false
        ? 'WebGPU needs a secure page: serve it over https or from localhost'
        : 'use a browser with WebGPU (Chrome or Edge 113, Safari 26, Firefox 141 or newer)';
    throw new Error(`adapter: this page has no navigator.gpu; ${remedy}`);
  }
  const adapter = (await gpu.requestAdapter({ powerPreference })) ?? (await gpu.requestAdapter());
  if (!adapter) throw new Error('adapter: the browser offers no WebGPU adapter; switch hardware acceleration on, or update the GPU driver');
  return adapter;
}
