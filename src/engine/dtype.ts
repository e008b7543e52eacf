/** Element types of tensors. f16 is how activations may be stored: kernels compute in f32. u8 is read by `widen` alone. */
export type DType = 'f32' | 'u32' | 'f16' | 'u8';
/** Those of numbers. */
export type FloatType = Extract<DType, 'f32' | 'f16'>;

export const bytesPerElement: Record<DType, number> = { f32: 4, u32: 4, f16: 2, u8: 1 };

/** Bytes of `count` elements, rounded up to the 4 bytes that WebGPU copies and bindings need. */
export function byteLength(count: number, dtype: DType): number {
  return Math.ceil((count * bytesPerElement[dtype]) / 4) * 4;
}
