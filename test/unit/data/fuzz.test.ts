/**
 * Damaged files through every reader: each gives a result or a clear Error, in bounded time, and no single allocation far
 * beyond the file's size. A fixed, seeded count here; `CT_LITE_FUZZ=20000 npx vitest run --project unit fuzz` for more
 * (files for each reader), `CT_LITE_FUZZ_SEED` for others.
 */
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeJpegVolume, readScan, writeNifti, writeNiftiGz } from '../../../src/data/index.ts';
import { openZip } from '../../../src/data/zip-archive.ts';
import { initNodeCodecs } from '../../../src/platform/node-dicom-codecs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../src/train/index.ts';
import { watchAllocations } from '../../support/allocations.ts';
import { ctSlice, storedValues, words } from '../../support/dicom-series.ts';
import { SYNTAX, writeDicom } from '../../support/dicom-writer.ts';
import { encodeLosslessJpeg, encodeRle } from '../../support/frame-encoders.ts';
import { compressedSlices } from '../../support/compressed-slices.ts';
import { mutate } from '../../support/mutate.ts';
import { randomHu, smoothValues } from './volumes.ts';

const MORE = Number(process.env['CT_LITE_FUZZ'] ?? 0);
const SEED = Number(process.env['CT_LITE_FUZZ_SEED'] ?? 1);
/** A case that takes longer hangs; usual ones take milliseconds. */
const MAX_CASE_MS = 5000;
/** Files here have kilobytes; a gzip of those may promise a thousand times as much. */
const MAX_ALLOCATION_BYTES = 48 * 2 ** 20;

let allocations: ReturnType<typeof watchAllocations>;
beforeAll(() => {
  initNodeCodecs();
  allocations = watchAllocations();
});
afterAll(() => allocations.stop());

const NIFTI = { hu: randomHu(3, [3, 8, 9]), shape: [3, 8, 9] as [number, number, number], spacingMm: [2, 1, 1] as [number, number, number] };
const slices = (syntax: string = SYNTAX.explicit) => Object.fromEntries([0, 1, 2].map((k) => [`${k}.dcm`, writeDicom(ctSlice(k), { syntax })]));
const GRID = { shape: [2, 9, 8] as [number, number, number], spacingMm: [2, 1, 1] as [number, number, number] };
const scan = async (bytes: Uint8Array): Promise<unknown> => readScan(bytes, 'fuzzed');

/** Name, share of the count (slow decoders take fewer), the undamaged file, the reader. */
const readers: [string, number, () => Promise<Uint8Array> | Uint8Array, (bytes: Uint8Array) => Promise<unknown> | unknown][] = [
  ['NIfTI', 1, () => writeNifti(NIFTI), scan],
  ['gzipped NIfTI', 1, () => writeNiftiGz(NIFTI), scan],
  ['DICOM, explicit', 1, () => writeDicom(ctSlice(0)), scan],
  ['DICOM, implicit with sequences', 1, () => writeDicom(ctSlice(0, { '00081140': ['SQ', [{ '00081155': ['UI', '1.2'] }, { '00081155': ['UI', '1.3'] }]] }), { syntax: SYNTAX.implicit, undefinedLength: true }), scan],
  ['DICOM, deflated', 1, () => writeDicom(ctSlice(0), { syntax: SYNTAX.deflated }), scan],
  ['DICOM, big endian', 0.5, () => writeDicom(ctSlice(0), { syntax: SYNTAX.bigEndian }), scan],
  ['DICOM in a stored ZIP', 1, () => zipSync(slices(), { level: 0 }), scan],
  ['DICOM in a ZIP', 1, () => zipSync(slices()), scan],
  ['DICOM, RLE', 1, () => writeDicom(ctSlice(0, { '7FE00010': ['OB', { fragments: [encodeRle(words(storedValues(0)))] }] }), { syntax: '1.2.840.10008.1.2.5' }), scan],
  ['DICOM, lossless JPEG', 1, () => writeDicom(ctSlice(0, { '7FE00010': ['OB', { fragments: [encodeLosslessJpeg(storedValues(0), 5, 12, 1)] }] }), { syntax: '1.2.840.10008.1.2.4.70' }), scan],
  ['DICOM, JPEG 2000', 0.15, () => compressedSlices.openjpeg(), scan],
  ['DICOM, HTJ2K', 0.15, () => compressedSlices.openjph(), scan],
  ['DICOM, JPEG-LS', 0.15, () => compressedSlices.charls(), scan],
  ['JPEG volume', 0.7, () => encodeJpegVolume(smoothValues(GRID.shape), GRID), scan],
  ['ZIP', 1, () => zipSync({ 'a/b.txt': new Uint8Array(300).fill(7), c: new Uint8Array(50) }), (bytes) => openZip(bytes, 'fuzzed', { entries: 10, entryBytes: 1000 }).map((entry) => entry.read())],
  ['safetensors', 1, () => encodeSafetensors({ a: { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) }, b: { dtype: 'F16', shape: [4], data: new Uint16Array(4) } }, { format: 'x', config: '{}' }), (bytes) => decodeSafetensors(bytes, 'fuzzed')],
];

describe('damaged files', () => {
  it.each(readers)('%s', async (name, share, make, read) => {
    const file = await make();
    await read(file);
    allocations.reset();
    const count = Math.ceil((MORE || 400) * share);
    const outcomes = { read: 0, refused: 0 };
    for (let index = 0; index < count; index++) {
      const seed = SEED * 1_000_003 + index;
      const bytes = mutate(file, seed);
      const start = performance.now();
      try {
        await read(bytes);
        outcomes.read++;
      } catch (error) {
        // A clear error names the file and is none of the language's own.
        const clear = error instanceof Error && error.constructor === Error && error.message.includes('fuzzed');
        if (!clear) throw new Error(`${name}, seed ${seed}: not a clear error: ${String(error)}`, { cause: error });
        outcomes.refused++;
      }
      const took = performance.now() - start;
      if (took > MAX_CASE_MS) throw new Error(`${name}, seed ${seed}: took ${Math.round(took)} ms`);
      if (allocations.largest() > MAX_ALLOCATION_BYTES) throw new Error(`${name}, seed ${seed}: allocates ${allocations.largest()} bytes for a file of ${bytes.length}`);
    }
    expect(outcomes.read + outcomes.refused).toBe(count);
    expect(outcomes.refused).toBeGreaterThan(count / 10);
  }, Math.max(60_000, MORE * 20));
});
