import { check, type Device } from '../engine/index.ts';

/** Throws where the adapter's kernels cannot read and write f16. */
export function requireF16(device: Device): void {
  check(device.canF16, device.currentOp, () => `f16 needs the feature "shader-f16", which the adapter "${device.adapterInfo.description || device.adapterInfo.vendor}" does not offer; use f32`);
}
