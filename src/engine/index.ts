export { mebibytes, type PoolBuffer, type PoolStats } from './buffers.ts';
export { countingAdapter } from './counting-adapter.ts';
export { Device, storageAlignment, type BufferView, type DeviceOptions, type SubgroupMatrixConfig } from './device.ts';
export { byteLength, bytesPerElement, type DType, type FloatType } from './dtype.ts';
export { check, DeviceLostError, EngineError, OutOfMemoryError } from './errors.ts';
export { allKernels, defineKernel, floats, sourceFor, type AxisLayout, type Kernel, type KernelSpec, type Params, type ParamType, type SplitAxis } from './kernel.ts';
export type { DeviceProfile, DispatchTime, KernelTime } from './profile.ts';
export { broadcastShapes, checkShape, formatShape, normalizeAxis, sameShape, sizeOf, stridesOf, type Shape } from './shape.ts';
export type { TuningStore } from './tuning-store.ts';
