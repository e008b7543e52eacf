export { Bert, type TextBatch } from './bert.ts';
export { loadBertWeights, parseBertConfig, type BertConfig, type BertWeightReport } from './bert-weights.ts';
export { CtLite, FastProjectors, type CtLiteOptions } from './ct-lite.ts';
export { ConvStemViT, type EncoderOutput, type VisionEncoder } from './encoder.ts';
export * from './fast.ts';
export { Initializer, Module } from './module.ts';
export { presets, tokenGrid, type EncoderConfig, type HeadConfig, type Preset, type PresetName, type TextConfig } from './presets.ts';
export type { WeightInfo, WeightSource } from './weight-source.ts';
export { DenseProjection, makeProjection, StructuredFactorizedProjection, type ProjectionHead } from './projection.ts';
