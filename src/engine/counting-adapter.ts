import type { Device } from './device.ts';

const nothing = (): void => {};

/**
 * An adapter that computes nothing: a device opened on it runs all code of the host, so that its pool counts exactly what the same work
 * would allocate on `like`, whose limits, features and name it has (kernel plans are chosen by them). Nothing is compiled or executed;
 * what is read back is zero.
 */
export function countingAdapter(like: Device): GPUAdapter {
  const { limits, features } = like.gpu;
  const noError = Promise.resolve(null);
  const done = Promise.resolve(undefined);
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer: nothing, resolveQuerySet: nothing, finish: () => ({}) };
  const device = {
    limits,
    features,
    lost: new Promise(nothing),
    queue: { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: () => done },
    createBuffer: ({ size }: GPUBufferDescriptor) => ({ size, mapAsync: () => done, getMappedRange: () => new ArrayBuffer(size), destroy: nothing }),
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createComputePipeline: () => ({}),
    createBindGroup: () => ({}),
    createCommandEncoder: () => encoder,
    pushErrorScope: nothing,
    popErrorScope: () => noError,
    addEventListener: nothing,
    destroy: nothing,
  };
  return { limits, features, info: like.adapterInfo, requestDevice: () => Promise.resolve(device) } as unknown as GPUAdapter;
}
