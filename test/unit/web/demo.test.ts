/** The demo model that the page ships. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LABELS, loadTokenizer } from '../../../src/data/index.ts';
import { decodeSafetensors, encodeSafetensors, readCheckpointHeader, totalSteps } from '../../../src/train/index.ts';
// @ts-expect-error plain JavaScript
import { withoutTensors } from '../../../web/demo.mjs';

const file = (name: string): Buffer => readFileSync(new URL(`../../../web/demo/${name}`, import.meta.url));

describe('the demo model', () => {
  const bytes = file('checkpoint.safetensors');
  const provenance = JSON.parse(file('provenance.json').toString()) as { what: string; training: string; commit: string; adapter: string; bytes: number; sha256: string; test: { meanAuroc: number } };

  it('is the file that its provenance tells of', () => {
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(provenance.sha256);
    expect(bytes.length).toBe(provenance.bytes);
    expect(bytes.length).toBeLessThan(4e6);
    expect(provenance.what).toContain('drawn chests (phantoms) alone');
    expect(provenance.commit).toMatch(/^[0-9a-f]{7,}$/);
    expect(provenance.adapter).not.toBe('');
    expect(provenance.test.meanAuroc).toBeGreaterThan(0.5);
  });

  it('is a whole checkpoint with a student and words for every label, without the state of an optimiser', () => {
    const { tensors, metadata } = decodeSafetensors(bytes, 'demo');
    const { config, position } = readCheckpointHeader(metadata, 'demo');
    expect(provenance.training).toBe(`node train.js --preset ${config.preset} --seed ${config.seed} --steps ${totalSteps(config)}`);
    expect(position).toEqual({ stage: 'align', step: config.stages.align!.steps });
    const names = Object.keys(tensors);
    expect(names.filter((name) => name.startsWith('optimizer.'))).toEqual([]);
    expect(names.some((name) => name.startsWith('student.vision.'))).toBe(true);
    const tokenizer = loadTokenizer({ vocabTxt: metadata.vocabulary! });
    for (const label of LABELS) expect(tokenizer.encode(`${label} is not present.`, 64), label).not.toContain(tokenizer.unknownId);
  });
});

describe('withoutTensors', () => {
  it('leaves out what a prefix names and keeps the rest as it was', () => {
    const values = (...numbers: number[]) => ({ dtype: 'F32' as const, shape: [numbers.length], data: Float32Array.from(numbers) });
    const whole = encodeSafetensors({ 'a.x': values(1, 2, 3), 'optimizer.a.x': values(4, 5), b: values(6) }, { format: 'any', optimizerSteps: '9' });
    const { tensors, metadata } = decodeSafetensors(withoutTensors(Buffer.from(whole), 'optimizer.') as Uint8Array, 'some');
    expect(Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, [...(data as Float32Array)]]))).toEqual({ 'a.x': [1, 2, 3], b: [6] });
    expect(metadata).toEqual({ format: 'any', optimizerSteps: '0' });
  });
});
