export { safetensorsParts, type SafetensorsPartsOptions } from './convert.ts';
export { ELEMENT_BYTES, elementCount, fromFloat32, halfBits, isElementType, isFloat, toFloat32, type ElementType } from './element-types.ts';
export { openWeights } from './open-weights.ts';
export { openPytorch } from './pytorch-file.ts';
export { blobAccess, bytesAccess, requireRange, type RandomAccess } from './random-access.ts';
export { openSafetensors } from './safetensors-file.ts';
export { encodeSafetensorsHeader, METADATA_KEY, parseSafetensorsHeader, SAFETENSORS_START_BYTES, safetensorsDataStart, safetensorsFailures, safetensorsOrder } from './safetensors-header.ts';
export { TensorFile, type ElementRange, type TensorEntry } from './tensor-file.ts';
