/** Volumes on their way to the GPU. */
import { ops, type Engine, type FloatType, type Tensor } from '../autograd/index.ts';
import { GREY_VALUES } from '../data/index.ts';
import type { GreyVolumes } from '../model/index.ts';

/** Volumes one after another, [size·D·Y·X]: uncompressed input in [−1, 1], or grey levels that JPEG gave, a byte each. */
export type VolumeValues = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** Grey levels for an encoder that widens them itself, part by part. */
export function uploadGrey(engine: Engine, levels: Uint8Array<ArrayBuffer>, shape: readonly number[]): GreyVolumes {
  return { levels: engine.tensor(levels, shape), values: engine.tensor(GREY_VALUES) };
}

/** Model input. Grey levels cross as bytes and become values on the GPU: of f32 the same to the bit as `greyToValues`, of f16 those rounded. */
export function uploadVolumes(engine: Engine, values: VolumeValues, shape: readonly number[], dtype: FloatType = 'f32'): Tensor {
  if (values instanceof Float32Array) return engine.tensor(values, shape, { dtype });
  return engine.scope(() => ops.widen(engine.tensor(values, shape), engine.tensor(GREY_VALUES), { dtype }));
}
