import type { WeightSource } from '../model/index.ts';
import { fromHalves } from './half-precision.ts';
import type { Safetensors } from './safetensors.ts';

/** A decoded safetensors file as the models read foreign weights: F32, F16, BF16 and F64 become f32. */
export function safetensorsWeights({ tensors }: Safetensors, name: string): WeightSource {
  return {
    name,
    tensors: new Map(Object.entries(tensors)),
    async readFloat32(key) {
      const tensor = tensors[key];
      if (!tensor) throw new Error(`readFloat32: ${name}: has no tensor "${key}"`);
      const { dtype, data } = tensor;
      if (dtype === 'F32' || dtype === 'F64') return Float32Array.from(data as Float32Array | Float64Array);
      if (dtype === 'F16') return fromHalves(data as Uint16Array);
      if (dtype === 'BF16') return new Float32Array(Uint32Array.from(data as Uint16Array, (bits) => bits << 16).buffer);
      throw new Error(`readFloat32: ${name}: tensor "${key}" must be F32, F16, BF16 or F64, got ${dtype}`);
    },
  };
}
