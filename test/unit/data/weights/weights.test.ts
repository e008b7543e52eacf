import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blobAccess, bytesAccess, halfBits, openSafetensors, openWeights, safetensorsParts, toFloat32, type SafetensorsPartsOptions } from '../../../../src/data/index.ts';
import { gatherStrided, isContiguous } from '../../../../src/data/weights/strided-view.ts';
import { writeFileParts } from '../../../../src/platform/node-files.ts';
import { fileAccess } from '../../../../src/platform/node-random-access.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../../src/train/safetensors.ts';
import { randomArray } from '../../../support/arrays.ts';

describe('half precision', () => {
  it('gives every value back, and rounds what lies between to nearest even', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const values = toFloat32(new Uint8Array(all.buffer), 'F16');
    for (let bits = 0; bits < 65536; bits++) if (!Number.isNaN(values[bits]!)) expect(halfBits(values[bits]!), String(values[bits])).toBe(bits);
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const [low, high] = [values[bits]!, values[bits + 1]!];
      const middle = (low + high) / 2;
      expect(halfBits(middle)).toBe(bits % 2 ? bits + 1 : bits);
      expect(halfBits(-(middle * 0.9999 + high * 0.0001))).toBe(0x8000 | (bits + 1));
    }
    expect([65519.99, 65520, Infinity, -1e30].map(halfBits)).toEqual([0x7bff, 0x7c00, 0x7c00, 0xfc00]);
    expect(halfBits(NaN) & 0x7fff).toBeGreaterThan(0x7c00);
  });
});

describe('gatherStrided', () => {
  it('reads a transposed matrix larger than a block in a few reads, each part of the storage once', async () => {
    const [rows, columns] = [3000, 700]; // 2.1 million elements: three blocks
    const stored = Float32Array.from({ length: rows * columns }, (_, i) => i);
    const bytes = new Uint8Array(stored.buffer);
    let [reads, total] = [0, 0];
    const view = { offset: 0, shape: [columns, rows], strides: [1, columns] };
    expect(isContiguous(view)).toBe(false);
    const result = await gatherStrided(view, 4, async (start, count) => {
      reads++;
      total += count;
      return bytes.subarray(4 * start, 4 * (start + count));
    });
    const values = new Float32Array(result.buffer);
    let wrong = 0;
    for (let c = 0; c < columns; c++) for (let r = 0; r < rows; r++) if (values[c * rows + r] !== r * columns + c) wrong++;
    expect(wrong).toBe(0);
    expect(reads).toBeLessThan(5);
    expect(total).toBe(rows * columns);
  });

  it('reads steps wider than a block element by element', async () => {
    const stored = new Uint8Array(3 * 2 ** 21).map((_, i) => i % 251);
    const view = { offset: 5, shape: [3, 2], strides: [2 ** 21, 3] };
    const result = await gatherStrided(view, 1, async (start, count) => stored.subarray(start, start + count));
    expect([...result]).toEqual([0, 1, 2].flatMap((i) => [0, 3].map((j) => stored[5 + i * 2 ** 21 + j])));
  });
});

const sample = encodeSafetensors(
  {
    weight: { dtype: 'F32', shape: [2, 3], data: Float32Array.of(0.1, -1.5, 3, 1e-7, 6e4, 0) },
    half: { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) },
    brain: { dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc040) },
    wide: { dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) },
    ids: { dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 60n) },
    empty: { dtype: 'F32', shape: [8, 0, 4], data: new Float32Array(0) },
  },
  { note: 'ours' },
);

describe('openSafetensors', () => {
  it('reads all floating-point types as f32, and parts of them', async () => {
    for (const access of [bytesAccess(sample), blobAccess(new Blob([sample as Uint8Array<ArrayBuffer>]))]) {
      const file = await openSafetensors(access, 'x');
      expect(file.metadata).toEqual({ note: 'ours' });
      expect([...(await file.readFloat32('half'))]).toEqual([1, -2]);
      expect([...(await file.readFloat32('brain'))]).toEqual([1, -3]);
      expect([...(await file.readFloat32('wide'))]).toEqual([Math.fround(Math.PI)]);
      expect([...(await file.readFloat32('weight', { start: 1, end: 3 }))]).toEqual([-1.5, 3]);
      expect(await file.readFloat32('empty')).toHaveLength(0);
    }
  });

  it('reads half precision across chunks', async () => {
    const count = 2 ** 22 + 7; // 8 MiB and a little
    const bits = Uint16Array.from({ length: count }, (_, i) => i % 0x7c00);
    const file = await openSafetensors(bytesAccess(encodeSafetensors({ w: { dtype: 'F16', shape: [count], data: bits } })), 'x');
    const values = await file.readFloat32('w', { start: 5, end: count - 1 });
    const expected = toFloat32(new Uint8Array(bits.slice(5, -1).buffer), 'F16');
    expect(values).toHaveLength(count - 6);
    expect(Buffer.compare(new Uint8Array(values.buffer), new Uint8Array(expected.buffer))).toBe(0);
  });

  it('says what it cannot give', async () => {
    const file = await openSafetensors(bytesAccess(sample), 'x');
    await expect(file.readFloat32('ids')).rejects.toThrow('x: tensor "ids" must be of a floating-point type, got I64');
    await expect(file.readFloat32('other')).rejects.toThrow('x: tensor "other" is missing; the file has 6 others');
    await expect(file.readBytes('half', { start: 1, end: 3 })).rejects.toThrow('elements 1 to 3 must lie within its 2');
    await expect(openWeights(bytesAccess(new Uint8Array(40)), 'x')).rejects.toThrow('openWeights: x: this is neither a safetensors file nor a PyTorch checkpoint (40 bytes)');
    await expect(openWeights(bytesAccess(sample.subarray(0, sample.length - 1)), 'x')).rejects.toThrow('openSafetensors: x: the file is damaged: the tensors need');
  });
});

async function converted(options: SafetensorsPartsOptions): Promise<ReturnType<typeof decodeSafetensors>> {
  const parts: Uint8Array[] = [];
  for await (const part of safetensorsParts(await openSafetensors(bytesAccess(sample), 'x'), options)) parts.push(part);
  return decodeSafetensors(new Uint8Array(Buffer.concat(parts)), 'converted');
}

describe('safetensorsParts', () => {
  it('keeps types where none is asked for, and integers always', async () => {
    const { tensors, metadata } = await converted({});
    expect({ ...tensors }).toEqual({ ...decodeSafetensors(sample, 'sample').tensors });
    expect(metadata).toEqual({ note: 'ours', format: 'pt' });
  });

  it('converts to f32 and to f16', async () => {
    const progress: number[] = [];
    const { tensors } = await converted({ dtype: 'F32', onProgress: (bytes, total) => progress.push(bytes / total) });
    expect(tensors.wide).toEqual({ dtype: 'F32', shape: [1], data: Float32Array.of(Math.PI) });
    expect(tensors.brain).toEqual({ dtype: 'F32', shape: [2], data: Float32Array.of(1, -3) });
    expect(tensors.ids!.dtype).toBe('I64');
    expect(progress.at(-1)).toBe(1);
    const halves = (await converted({ dtype: 'F16' })).tensors;
    expect(halves.weight).toEqual({ dtype: 'F16', shape: [2, 3], data: Uint16Array.of(0x2e66, 0xbe00, 0x4200, 0x0002, 0x7b53, 0) });
  });

  it('refuses to make infinity of a large weight', async () => {
    const large = encodeSafetensors({ w: { dtype: 'F32', shape: [1], data: Float32Array.of(1e5) } });
    const run = async (): Promise<void> => {
      for await (const _ of safetensorsParts(await openSafetensors(bytesAccess(large), 'x'), { dtype: 'F16' }));
    };
    await expect(run()).rejects.toThrow('x: tensor "w" holds 100000, beyond half precision\'s 65504; convert with --dtype f32');
  });
});

describe('fileAccess and writeFileParts', () => {
  it('stream a file larger than a chunk, and leave nothing behind where the parts fail', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ct-lite-weights-'));
    try {
      const data = Float32Array.from(randomArray(2 ** 21 + 12345, 3)); // 8.05 MiB: two chunks
      const [from, to] = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')];
      writeFileSync(from, encodeSafetensors({ w: { dtype: 'F32', shape: [data.length], data } }));
      const access = await fileAccess(from);
      const file = await openWeights(access, from);
      await writeFileParts(to, safetensorsParts(file));
      const written = decodeSafetensors(new Uint8Array(readFileSync(to)), to).tensors.w!;
      expect(Buffer.compare(new Uint8Array(written.data.buffer, written.data.byteOffset, written.data.byteLength), new Uint8Array(data.buffer))).toBe(0);
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(10);
        throw new Error('the maker failed');
      };
      await expect(writeFileParts(to, failing())).rejects.toThrow(/^the maker failed$/);
      expect(readdirSync(folder).sort()).toEqual(['a.safetensors', 'b.safetensors']);
      expect(readFileSync(to).length, 'the file of that name stays as it was').toBeGreaterThan(4 * data.length);
      await expect(access.read(access.byteLength - 1, 2)).rejects.toThrow(/read: .*a\.safetensors: .*must lie within/);
      await expect(fileAccess(folder)).rejects.toThrow(/it is a folder, a file is needed/);
      await expect(fileAccess(join(folder, 'none'))).rejects.toThrow(/no such file/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
