import { describe, expect, it } from 'vitest';
import '../../../src/autograd/index.ts';
import { allKernels, Device } from '../../../src/engine/index.ts';
import { NEEDED_LIMITS } from '../../../src/engine/limits.ts';

/** WebGPU's defaults, which every adapter but one of compatibility mode offers. */
const defaults = {
  maxBufferSize: 256 * 2 ** 20, maxStorageBufferBindingSize: 128 * 2 ** 20, maxStorageBuffersPerShaderStage: 8, maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256, maxDynamicUniformBuffersPerPipelineLayout: 8,
  minStorageBufferOffsetAlignment: 256, minUniformBufferOffsetAlignment: 256,
};

/** An adapter that has these limits and gives no device: what is asked of it ends up in `asked`. */
function fakeAdapter(limits: Partial<Record<keyof typeof defaults, number>>, asked: GPUDeviceDescriptor[] = [], more: string[] = []): GPUAdapter {
  return {
    limits: { ...defaults, ...limits },
    features: new Set(['subgroups', 'texture-compression-bc', ...more]),
    info: { vendor: 'acme', architecture: '', device: '', description: 'Old GPU' },
    requestDevice: (descriptor: GPUDeviceDescriptor) => {
      asked.push(descriptor);
      return Promise.reject(new Error('out of devices'));
    },
  } as unknown as GPUAdapter;
}

const message = (adapter: GPUAdapter): Promise<string> => Device.open(adapter).then(() => 'opened', (error: Error) => error.message);

describe('an adapter without the limits needed', () => {
  it.each([
    ['maxStorageBuffersPerShaderStage', 4, 'at least 8, offered 4'],
    ['maxComputeInvocationsPerWorkgroup', 128, 'at least 256, offered 128'],
    ['maxComputeWorkgroupSizeX', 128, 'at least 256, offered 128'],
    ['maxComputeWorkgroupStorageSize', 8192, 'at least 16384, offered 8192'],
    ['maxDynamicUniformBuffersPerPipelineLayout', 0, 'at least 1, offered 0'],
    ['minStorageBufferOffsetAlignment', 512, 'at most 256, offered 512'],
    ['minUniformBufferOffsetAlignment', 512, 'at most 256, offered 512'],
  ] as const)('is refused by the name of the limit: %s', async (name, offered, said) => {
    const asked: GPUDeviceDescriptor[] = [];
    expect(await message(fakeAdapter({ [name]: offered }, asked))).toBe(
      `Device.open: the adapter "Old GPU" lacks what the kernels need: ${name} of ${said}. Choose another adapter, or update its driver`,
    );
    expect(asked).toEqual([]);
  });

  it('hears of all that falls short at once', async () => {
    expect(await message(fakeAdapter({ maxStorageBuffersPerShaderStage: 4, maxComputeWorkgroupSizeX: 64 }))).toMatch(/PerShaderStage of at least 8, offered 4; maxComputeWorkgroupSizeX of at least 256, offered 64\. Choose/);
  });
});

it('an adapter of the default limits is asked for what it offers, and its refusal is passed on', async () => {
  const asked: GPUDeviceDescriptor[] = [];
  expect(await message(fakeAdapter({ maxBufferSize: 2 ** 32 }, asked))).toBe('Device.open: the adapter "Old GPU" gives no device: Error: out of devices; choose another adapter, or update its driver');
  expect(asked[0]!.requiredFeatures).toEqual(['subgroups']);
  expect(asked[0]!.requiredLimits).toMatchObject({ maxBufferSize: 2 ** 32, maxStorageBufferBindingSize: 128 * 2 ** 20 });
});

it('an adapter with matrix units is asked for them', async () => {
  const asked: GPUDeviceDescriptor[] = [];
  await message(fakeAdapter({}, asked, ['chromium-experimental-subgroup-matrix']));
  expect(asked[0]!.requiredFeatures).toEqual(['subgroups', 'chromium-experimental-subgroup-matrix']);
});

it('the limits needed are those that the kernels use', () => {
  const kernels = allKernels();
  const most = (of: (kernel: (typeof kernels)[number]) => number): number => Math.max(...kernels.map(of));
  expect(most(({ inputs, outputs }) => inputs.length + outputs.length)).toBeLessThanOrEqual(NEEDED_LIMITS.maxStorageBuffersPerShaderStage);
  const largest = most(({ constants }) => Math.max(constants?.WORKGROUP_SIZE ?? 1, constants?.LANES ?? 1));
  expect(largest).toBeGreaterThan(32);
  expect(largest).toBeLessThanOrEqual(NEEDED_LIMITS.maxComputeInvocationsPerWorkgroup);
});
