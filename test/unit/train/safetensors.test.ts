import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from '../../../src/train/safetensors.ts';

const SAMPLE: Record<string, SafetensorsTensor> = {
  bytes: { dtype: 'U8', shape: [3], data: Uint8Array.from([1, 2, 255]) },
  weight: { dtype: 'F32', shape: [2, 3], data: Float32Array.from([0, -1.5, 3e38, 1e-45, NaN, -Infinity]) },
  step: { dtype: 'I64', shape: [], data: BigInt64Array.from([-(2n ** 62n)]) },
  half: { dtype: 'F16', shape: [1, 2], data: Uint16Array.from([0x3c00, 0xc000]) },
  'null_kv': { dtype: 'F32', shape: [8, 0, 32], data: new Float32Array(0) },
  '__proto__x "quoted"\n': { dtype: 'I16', shape: [1], data: Int16Array.from([-7]) },
  '7': { dtype: 'U32', shape: [1], data: Uint32Array.from([2 ** 32 - 1]) },
  wide: { dtype: 'F64', shape: [1], data: Float64Array.from([Math.PI]) },
};

/** A file with this header text and so many bytes of data. */
function file(header: unknown, dataBytes = 0, text = JSON.stringify(header)): Uint8Array {
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}
const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({ dtype: 'F32', shape, data_offsets: [start, end] });

describe('encodeSafetensors', () => {
  const bytes = encodeSafetensors(SAMPLE, { config: '{"seed":1}', note: 'Größe' });

  it('comes back the same', () => {
    const { tensors, metadata } = decodeSafetensors(bytes, 'x');
    expect({ ...tensors }).toEqual(SAMPLE);
    expect(metadata).toEqual({ config: '{"seed":1}', note: 'Größe' });
  });

  it('aligns the data to 8 bytes and every tensor to its elements, so that decoding copies nothing', () => {
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(headerBytes % 8).toBe(0);
    for (const { data } of Object.values(decodeSafetensors(bytes, 'x').tensors)) expect(data.buffer).toBe(bytes.buffer);
  });

  it('does not depend on the order in which tensors are given', () => {
    const reversed = Object.fromEntries(Object.entries(SAMPLE).reverse());
    expect(encodeSafetensors(reversed, { config: '{"seed":1}', note: 'Größe' })).toEqual(bytes);
  });

  it('takes views into larger arrays, and nothing at all', () => {
    const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    expect(decodeSafetensors(encodeSafetensors({ a: { dtype: 'F32', shape: [2], data: view } }), 'x').tensors.a!.data).toEqual(Float32Array.of(1, 2));
    expect({ ...decodeSafetensors(encodeSafetensors({}), 'x').tensors }).toEqual({});
  });

  it.each<[string, SafetensorsTensor, string]>([
    ['w', { dtype: 'F32', shape: [2], data: new Float32Array(3) }, 'encodeSafetensors: w: data must have 2 elements for shape [2], got 3'],
    ['w', { dtype: 'F16', shape: [2], data: new Float32Array(2) }, 'encodeSafetensors: w: data of F16 must be a Uint16Array, got Float32Array'],
    ['w', { dtype: 'F32', shape: [-1], data: new Float32Array(0) }, 'encodeSafetensors: w: shape must be whole numbers ≥ 0, got [-1]'],
    ['w', { dtype: 'F8' as 'F32', shape: [1], data: new Float32Array(1) }, 'encodeSafetensors: w: dtype must be one of'],
    ['__metadata__', { dtype: 'F32', shape: [1], data: new Float32Array(1) }, 'a tensor must not have this name'],
  ])('refuses %s %#', (name, tensor, message) => expect(() => encodeSafetensors({ [name]: tensor })).toThrow(message));
});

describe('decodeSafetensors', () => {
  it('reads what numpy wrote, unaligned and with an unpadded header', () => {
    const { tensors, metadata } = decodeSafetensors(new Uint8Array(readFileSync('test/fixtures/train/by-numpy.safetensors')), 'by-numpy');
    expect(metadata).toEqual({ by: 'numpy' });
    expect({ ...tensors }).toEqual({
      one: { dtype: 'U8', shape: [1], data: Uint8Array.of(200) },
      f32: { dtype: 'F32', shape: [2, 3], data: Float32Array.of(0.5, -1.25, 3, 4, 5, 6) },
      f16: { dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x7bff) },
      i64: { dtype: 'I64', shape: [2], data: BigInt64Array.of(-(2n ** 62n), 7n) },
      scalar: { dtype: 'F64', shape: [], data: Float64Array.of(0.1) },
      empty: { dtype: 'F32', shape: [8, 0, 32], data: new Float32Array(0) },
      flags: { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) },
      größe: { dtype: 'I16', shape: [2], data: Int16Array.of(-3, 9) },
    });
  });

  it("copies what is unaligned out of a Node Buffer too, whose slice is a view", () => {
    const buffer = readFileSync('test/fixtures/train/by-numpy.safetensors');
    expect(decodeSafetensors(buffer, 'by-numpy').tensors.f32!.data).toEqual(Float32Array.of(0.5, -1.25, 3, 4, 5, 6));
  });

  it('reads a file that lies at an odd place in a larger array', () => {
    const inner = encodeSafetensors(SAMPLE);
    const outer = new Uint8Array(inner.length + 3);
    outer.set(inner, 3);
    expect({ ...decodeSafetensors(outer.subarray(3), 'x').tensors }).toEqual(SAMPLE);
  });

  const numpy = spawnSync('/usr/bin/python3', ['-c', 'import numpy']).status === 0;
  it.skipIf(!numpy)('writes what numpy reads', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ct-lite-safetensors-'));
    try {
      const path = join(folder, 'x.safetensors');
      const finite = { ...SAMPLE, weight: { dtype: 'F32' as const, shape: [2, 3], data: Float32Array.of(0, -1.5, 2, 3, 4, 5) } };
      writeFileSync(path, encodeSafetensors(finite, { a: 'b' }));
      const { status, stdout, stderr } = spawnSync('/usr/bin/python3', ['test/reference/safetensors-format.py', path], { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const read = JSON.parse(stdout) as { metadata: unknown; tensors: Record<string, { dtype: string; shape: number[]; values: number[]; aligned: boolean }> };
      expect(read.metadata).toEqual({ a: 'b' });
      expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(finite).sort());
      expect(Object.values(read.tensors).every(({ aligned }) => aligned)).toBe(true);
      expect(read.tensors.weight).toMatchObject({ dtype: 'F32', shape: [2, 3], values: [0, -1.5, 2, 3, 4, 5] });
      expect(read.tensors.half).toMatchObject({ dtype: 'F16', shape: [1, 2], values: [1, -2] });
      expect(read.tensors.null_kv).toMatchObject({ shape: [8, 0, 32], values: [] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const golden = '../shared/goldens/ctvit_a.safetensors';
  it.skipIf(!existsSync(golden))('reads the CTViT golden: weights, and latents of length 1', () => {
    const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(golden)), golden);
    expect(tensors['io.video']).toMatchObject({ dtype: 'F32', shape: [2, 1, 8, 16, 16] });
    expect(tensors['io.latent']!.shape).toEqual([2, 24]);
    const latents = tensors['io.latent']!.data as Float32Array;
    // L2-normalised f32 vectors: 24 roundings of 6e-8 each at most.
    for (const row of [0, 24]) expect(Math.abs(Math.hypot(...latents.subarray(row, row + 24)) - 1)).toBeLessThan(1.5e-6);
  });

  it.each<[string, Uint8Array, string | RegExp]>([
    ['an empty file', new Uint8Array(0), 'decodeSafetensors: x.bin: this is not a safetensors file: it must have at least 10 bytes, got 0; give a .safetensors checkpoint'],
    ['a ZIP (a PyTorch checkpoint)', new TextEncoder().encode('PK\u0003\u0004 and something more'), /this is not a safetensors file: its header must start with "\{" at byte 8, got byte 32/],
    ['a huge header length', file({}, 0).map((byte, at) => (at === 7 ? 0x7f : byte)), /its header may have 100000000 bytes at most, the file says \d+/],
    ['a header that is cut off', file({ a: f32(0, 8) }, 8).subarray(0, 20), /the file is damaged: the header needs \d+ bytes, the file has 20: it was cut off; take another copy/],
    ['a header that is no JSON', file(0, 0, '{not json'), /its header must be JSON in UTF-8/],
    ['a header that is no UTF-8', file({ a: 1 }).map((byte) => (byte === 0x61 ? 0xff : byte)), /its header must be JSON in UTF-8/],
    ['text after the header object', file(0, 0, '{} []'), /its header must be JSON/],
    ['a name that stands twice', file(0, 8, `{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(4, 8))}}`), /names must be unique, "a" stands twice/],
    ['data that is cut off', file({ a: f32(0, 8) }, 4), /the tensors need 8 bytes of data, the file has 4: it was cut off/],
    ['data that is appended', file({ a: f32(0, 8) }, 12), /something was appended/],
    ['an overlap', file({ a: f32(0, 8), b: f32(4, 12) }, 12), /tensor "b": data must follow without gap or overlap from byte 8, starts at 4/],
    ['a gap', file({ a: f32(0, 4), b: f32(8, 12) }, 12), /from byte 4, starts at 8/],
    ['a shape that does not fit', file({ a: f32(0, 8, [3]) }, 8), /tensor "a": shape \[3\] of F32 needs 12 bytes, data_offsets give 8/],
    ['a shape beyond every number', file({ a: f32(0, 8, [2 ** 52, 2 ** 52, 2 ** 52]) }, 8), /needs \d.* bytes, data_offsets give 8/],
    ['a negative size', file({ a: f32(0, 8, [-2]) }, 8), /shape must be whole numbers ≥ 0, got \[-2\]/],
    ['a fractional size', file({ a: f32(0, 8, [0.5, 4]) }, 8), /shape must be whole numbers/],
    ['offsets that run backwards', file({ a: f32(8, 0, [2]) }, 8), /data_offsets must be \[start, end\] with start ≤ end, got \[8,0\]/],
    ['a dtype of another planet', file({ a: { dtype: 'toString', shape: [1], data_offsets: [0, 4] } }, 4), /dtype must be one of .*, got "toString"/],
    ['an entry that is no object', file({ a: null }), /tensor "a": dtype must be one of .*, got undefined/],
    ['metadata with a number', file({ __metadata__: { a: 1 } }), /__metadata__ must map strings to strings, got \{"a":1\}/],
  ])('refuses %s', (_, bytes, message) => expect(() => decodeSafetensors(bytes, 'x.bin')).toThrow(message));

  it('does not take a nested key for a double one, and keeps a tensor named __proto__', () => {
    const text = `{"__metadata__":{"a":"{\\"a\\":1,"},"a":${JSON.stringify(f32(0, 4))},"__proto__":${JSON.stringify(f32(4, 8))}}`;
    expect(Object.keys(decodeSafetensors(file(0, 8, text), 'x').tensors)).toEqual(['a', '__proto__']);
  });
});
