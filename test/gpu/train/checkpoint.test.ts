import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import { CHECKPOINT_FILE, decodeCheckpoint, decodeSafetensors, encodeSafetensors } from '../../../src/train/index.ts';
import { testEngine } from '../../support/engine.ts';
import { folder, tinyConfig, tinyRun } from './tiny-run.ts';

const name = 'somewhere/checkpoint.safetensors';
type Parts = ReturnType<typeof decodeSafetensors>;

describe('a checkpoint', () => {
  let engine: Engine;
  let good: Uint8Array;

  beforeAll(async () => {
    engine = await testEngine();
    const run = tinyRun(engine, { config: tinyConfig({ stages: { teacher: { steps: 2, learningRate: 1e-3 } } }) });
    await run.train(1);
    good = await run.files.readFile(run.files.join(folder, CHECKPOINT_FILE));
    run.dispose();
  });

  /** The good one with something changed. */
  function edited(change: (parts: Parts) => void): Uint8Array {
    const parts = decodeSafetensors(good, name);
    change(parts);
    return encodeSafetensors(parts.tensors, parts.metadata);
  }

  const someTensor = ({ tensors }: Parts): string => Object.keys(tensors).find((key) => key.startsWith('teacher.') && tensors[key]!.shape.length === 2)!;
  const bad: [what: string, bytes: () => Uint8Array, message: RegExp][] = [
    ['cut short', () => good.subarray(0, good.length - 1000), /the file is damaged.*cut off/],
    ['cut in its header', () => good.subarray(0, 100), /cut off/],
    ['empty', () => new Uint8Array(), /not a safetensors file/],
    ['text', () => new TextEncoder().encode('VolumeName,Findings_EN\nscan1,"clear lungs"\n'), /not a safetensors file/],
    ['the weights of another software', () => encodeSafetensors({ 'bert.weight': { dtype: 'F32', shape: [2], data: new Float32Array(2) } }, { format: 'pt' }), /is no CT-Lite checkpoint.*give a checkpoint\.safetensors/],
    ['of a later version', () => edited(({ metadata }) => (metadata.version = '99')), /version 99, this software reads up to 1; update ct-lite/],
    ['of an unknown preset', () => edited(({ metadata }) => (metadata.config = metadata.config!.replace('"tiny"', '"toString"'))), /unknown preset "toString"/],
    ['of an unknown stage', () => edited(({ metadata }) => (metadata.position = '{"stage":"later","step":1}')), /unknown stage "later"/],
    ['at a stage that its run has not', () => edited(({ metadata }) => (metadata.position = '{"stage":"align","step":1}')), /fits no stage of its config/],
    ['without a config', () => edited(({ metadata }) => delete metadata.config), /its "config" cannot be read/],
    ['with null for a config', () => edited(({ metadata }) => (metadata.config = 'null')), /its "config" cannot be read/],
    ['without its vocabulary', () => edited(({ metadata }) => (metadata.vocabulary = '')), /a BERT vocabulary needs/],
    ['without a model', () => edited(({ tensors }) => Object.keys(tensors).forEach((key) => delete tensors[key])), /holds no model/],
    ['with a tensor missing', () => edited((parts) => delete parts.tensors[someTensor(parts)]), /tensor "teacher\..*" is missing/],
    ['with a tensor too many', () => edited(({ tensors }) => (tensors['teacher.tail'] = { dtype: 'F32', shape: [1], data: new Float32Array(1) })), /"teacher\.tail" belongs to no part/],
    ['with a tensor of another shape', () => edited((parts) => (parts.tensors[someTensor(parts)] = { dtype: 'F32', shape: [1], data: new Float32Array(1) })), /must be F32 \[\d+, \d+\], got F32 \[1\]/],
    ['with a moment missing', () => edited(({ tensors }) => delete tensors[Object.keys(tensors).find((key) => key.endsWith('.exp_avg_sq'))!]), /AdamW\.load: .*exp_avg_sq: must hold/],
    ['with a vocabulary of another size', () => edited(({ metadata }) => (metadata.vocabulary += 'more\n')), /tensor "teacher\.text\..*" must be F32/],
  ];

  for (const [what, bytes, message] of bad) {
    it(`${what} is refused with its name, and nothing stays on the GPU`, () => {
      const before = engine.memory.liveBuffers;
      const read = (): unknown => decodeCheckpoint(engine, bytes(), name);
      expect(read).toThrow(message);
      expect(read).toThrow(name);
      expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
    });
  }

  it('is read where the bytes do not start at a multiple of four', () => {
    const shifted = new Uint8Array(good.length + 1);
    shifted.set(good, 1);
    const state = decodeCheckpoint(engine, shifted.subarray(1), name);
    expect(state.position).toEqual({ stage: 'teacher', step: 1 });
    expect(state.teacher!.namedParameters().size).toBeGreaterThan(20);
    expect(state.optimizer!.stepCount).toBe(1);
    for (const held of [state.teacher, state.optimizer]) held!.dispose();
  });
});
