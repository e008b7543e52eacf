import { ELEMENT_BYTES, elementCount, fromFloat32, isFloat, toFloat32, type ElementType } from './element-types.ts';
import { encodeSafetensorsHeader, safetensorsOrder } from './safetensors-header.ts';
import type { TensorFile } from './tensor-file.ts';

export interface SafetensorsPartsOptions {
  /** Type of the floating-point tensors; without it, each keeps its own. Integers and booleans always do. */
  dtype?: 'F32' | 'F16';
  metadata?: Record<string, string>;
  /** Bytes of tensors written so far, and of all. */
  onProgress?: (bytes: number, total: number) => void;
}

/**
 * A checkpoint as the successive parts of a safetensors file, none of them larger than 16 MiB or its header.
 * @throws Error naming the tensor whose values are beyond half precision's 65504, where F16 is asked for
 */
export async function* safetensorsParts(file: TensorFile, { dtype, metadata = { format: 'pt' }, onProgress }: SafetensorsPartsOptions = {}): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const target = (own: ElementType): ElementType => (dtype && isFloat(own) ? dtype : own);
  const tensors = safetensorsOrder([...file.tensors].map(([name, { dtype: own, shape }]) => ({ name, own, dtype: target(own), shape })));
  const total = tensors.reduce((bytes, { dtype, shape }) => bytes + elementCount(shape) * ELEMENT_BYTES[dtype], 0);
  yield encodeSafetensorsHeader(tensors, { ...file.metadata, ...metadata });
  let done = 0;
  for (const { name, own, dtype } of tensors) {
    for await (const { bytes } of file.chunks(name)) {
      const part = own === dtype ? bytes : converted(bytes, own, dtype as 'F32' | 'F16', `${file.name}: tensor "${name}"`);
      yield part;
      done += part.length;
      onProgress?.(done, total);
    }
  }
}

function converted(bytes: Uint8Array<ArrayBuffer>, from: ElementType, to: 'F32' | 'F16', where: string): Uint8Array<ArrayBuffer> {
  const values = toFloat32(bytes, from);
  if (to === 'F16') {
    const beyond = values.find((value) => Number.isFinite(value) && Math.abs(value) >= 65520);
    if (beyond !== undefined) throw new Error(`${where} holds ${beyond}, beyond half precision's 65504; convert with --dtype f32`);
  }
  return fromFloat32(values, to);
}
