/** A WebGPU adapter in a browser, through `navigator.gpu`, in a page or in a worker. */

export interface BrowserAdapterOptions {
  /** Default `high-performance`: on a laptop with two GPUs the stronger one. */
  powerPreference?: GPUPowerPreference;
}

/** Why a page cannot compute, so that it can say what to do. */
export type AdapterObstacle = 'insecure page' | 'no WebGPU' | 'no adapter';

export class AdapterError extends Error {
  readonly obstacle: AdapterObstacle;

  constructor(obstacle: AdapterObstacle, message: string, options?: { cause?: unknown }) {
    super(`adapter: ${message}`, options);
    this.name = 'AdapterError';
    this.obstacle = obstacle;
  }
}

/**
 * The adapter that the browser offers.
 * @throws AdapterError with a remedy where the browser has no WebGPU, the page is not served securely, or no adapter is offered.
 */
export async function requestBrowserAdapter({ powerPreference = 'high-performance' }: BrowserAdapterOptions = {}): Promise<GPUAdapter> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!gpu) {
    if (globalThis.isSecureContext === false) throw new AdapterError('insecure page', 'WebGPU needs a secure page; serve it over https or from localhost');
    throw new AdapterError('no WebGPU', 'this browser has no WebGPU; use Chrome or Edge 113, Safari 26, Firefox 141 or newer');
  }
  let adapter: GPUAdapter | null;
  try {
    adapter = (await gpu.requestAdapter({ powerPreference })) ?? (await gpu.requestAdapter());
  } catch (cause) {
    throw new AdapterError('no adapter', `the browser refused a WebGPU adapter (${(cause as Error).message}); reload the page, or restart the browser`, { cause });
  }
  if (!adapter) throw new AdapterError('no adapter', "the browser offers no WebGPU adapter; switch hardware acceleration on in the browser's settings, or update the GPU driver");
  return adapter;
}

/** For people: the driver's own words as far as the browser tells them, for example "google swiftshader". */
export function browserAdapterName({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed adapter';
}

/** True where the browser computes on the CPU: hundreds of times slower than a GPU. */
export function isSoftwareBrowserAdapter(info: GPUAdapterInfo): boolean {
  const { isFallbackAdapter } = info as GPUAdapterInfo & { isFallbackAdapter?: boolean };
  return isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`);
}
