/** Damaged checkpoints: thousands of seeded mutations of good files, each of which must end in a result or in an error of our own. */
import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { bytesAccess, openWeights, type RandomAccess } from '../../../../src/data/index.ts';
import { encodeSafetensors } from '../../../../src/train/safetensors.ts';
import { zipFile } from './zip-file.ts';

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`../../../fixtures/data/weights/${name}`, import.meta.url)));

/** xorshift32: a stream of its own for each case, so that one can be run alone. */
function randomOf(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const nasty = [0, 1, 0x7f, 0x80, 0xff, 0x28, 0x52, 0x63, 0x74, 0x75, 0x94];

function mutate(original: Uint8Array, random: (below: number) => number, from: number, to: number): Uint8Array {
  const bytes = original.slice();
  const place = (): number => from + random(to - from);
  switch (random(6)) {
    case 0: // bytes
      for (let i = 0, count = 1 + random(4); i < count; i++) bytes[place()] = random(2) ? random(256) : nasty[random(nasty.length)]!;
      return bytes;
    case 1: // a field of all ones, or a number near a limit
      new DataView(bytes.buffer).setUint32(Math.min(place(), bytes.length - 4), [0xffffffff, 0x7fffffff, 0x80000000, bytes.length, bytes.length + 1][random(5)]!, true);
      return bytes;
    case 2: // cut off
      return bytes.slice(0, random(bytes.length));
    case 3: { // a stretch repeated
      const start = place();
      const length = 1 + random(64);
      return concatenated(bytes.subarray(0, start), bytes.subarray(start, start + length), bytes.subarray(start));
    }
    case 4: { // a stretch removed
      const start = place();
      return concatenated(bytes.subarray(0, start), bytes.subarray(Math.min(bytes.length, start + 1 + random(16))));
    }
    default: { // a stretch moved over another
      const [source, target] = [place(), place()];
      bytes.copyWithin(target, source, source + 1 + random(32));
      return bytes;
    }
  }
}

function concatenated(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const safetensors = encodeSafetensors(
  { weight: { dtype: 'F32', shape: [3, 4], data: new Float32Array(12) }, half: { dtype: 'F16', shape: [5], data: new Uint16Array(5) }, ids: { dtype: 'I64', shape: [1, 3], data: new BigInt64Array(3) }, empty: { dtype: 'F32', shape: [2, 0], data: new Float32Array(0) } },
  { format: 'pt' },
);
const training = fixture('training.pt');
/** [file, its bytes, the part that is mutated: where the structure is]. */
const files: [name: string, bytes: Uint8Array, from: number, to: number, count: number][] = [
  ['a PyTorch file', fixture('tensors.pt'), 0, fixture('tensors.pt').length, 1500],
  ['the pickle of a PyTorch file', training, 60, 1150, 2500],
  ['the directory of a PyTorch file', training, training.length - 700, training.length, 1500],
  ['a ZIP64 directory', zipFile(unzipSync(training), { zip64: true }), 1200, zipFile(unzipSync(training), { zip64: true }).length, 1500],
  ['a safetensors header', safetensors, 0, 400, 3000],
];

/** Ours name the file; a TypeError or RangeError of the engine would not. */
const ours = /^(openWeights|openPytorch|openSafetensors): x: |^x: tensor /;
/** The largest files here have 6 kB: what a read may ask for, and what all tensors together may take. */
const mostBytes = 16 * 2 ** 20;

describe('mutated checkpoints', () => {
  for (const [name, original, from, to, count] of files) {
    it(`${name}: ${count} mutations end in a result or a clear error, in bounded time and memory`, { timeout: 60_000 }, async () => {
      let [results, refusals, slowest] = [0, 0, 0];
      for (let seed = 0; seed < count; seed++) {
        const bytes = mutate(original, randomOf(seed), from, Math.min(to, original.length));
        const inner = bytesAccess(bytes);
        const access: RandomAccess = {
          byteLength: inner.byteLength,
          read: (offset, length) => {
            // The file bounds every read before it is made: nothing is allocated for what is not there.
            expect(offset + length, `seed ${seed}: read past the file`).toBeLessThanOrEqual(bytes.length);
            return inner.read(offset, length);
          },
        };
        const started = performance.now();
        try {
          const file = await openWeights(access, 'x');
          let held = 0;
          for (const tensor of file.tensors.keys()) held += (await file.readBytes(tensor)).length;
          expect(held, `seed ${seed}: bytes of all tensors`).toBeLessThan(mostBytes);
          results++;
        } catch (error) {
          if (!(error instanceof Error) || !ours.test(error.message)) throw new Error(`seed ${seed}: ${String((error as Error).stack)}`);
          refusals++;
        }
        slowest = Math.max(slowest, performance.now() - started);
      }
      expect(results + refusals).toBe(count);
      expect(refusals, 'most mutations of the structure are noticed').toBeGreaterThan(count / 4);
      expect(slowest, 'milliseconds of the slowest').toBeLessThan(2000);
    });
  }
});
