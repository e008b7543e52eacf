/** What the kernels need of an adapter, checked before a device is asked for. */
import { EngineError } from './errors.ts';

/**
 * Limits that an adapter must at least offer; WebGPU's defaults satisfy them all. `test/unit/engine/limits.test.ts` compares them
 * with the kernels.
 */
export const NEEDED_LIMITS = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  /** Bytes; the tiles of matmul.tiled. */
  maxComputeWorkgroupStorageSize: 16384,
  maxDynamicUniformBuffersPerPipelineLayout: 1,
} as const satisfies Partial<Record<keyof GPUSupportedLimits, number>>;

/** Offsets of bindings are multiples of this, in bytes: an adapter may not want a coarser alignment. */
export const BINDING_ALIGNMENT = 256;

/** @throws EngineError naming every limit that falls short, what is needed, what the adapter offers, and the remedy. */
export function checkLimits({ limits }: Pick<GPUAdapter, 'limits'>, adapterName: string): void {
  const short: string[] = [];
  for (const [name, needed] of Object.entries(NEEDED_LIMITS)) {
    const offered = limits[name as keyof typeof NEEDED_LIMITS];
    if (!(offered >= needed)) short.push(`${name} of at least ${needed}, offered ${offered}`);
  }
  for (const name of ['minStorageBufferOffsetAlignment', 'minUniformBufferOffsetAlignment'] as const) {
    if (!(limits[name] <= BINDING_ALIGNMENT)) short.push(`${name} of at most ${BINDING_ALIGNMENT}, offered ${limits[name]}`);
  }
  if (short.length) throw new EngineError('Device.open', `the adapter "${adapterName}" lacks what the kernels need: ${short.join('; ')}. Choose another adapter, or update its driver`);
}
