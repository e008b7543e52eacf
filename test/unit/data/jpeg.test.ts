import { strToU8, unzipSync, zipSync } from 'fflate';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import encodeAny from '@jsquash/jpeg/encode.js';
import {
  decodeGreyJpeg, decodeJpegVolume, encodeGreyJpeg, encodeJpegVolume, greyToHu, greyToValue, greyToValues, initJpegCodec, jpegRoundTrip, valueToGrey,
} from '../../../src/data/index.ts';
import type { InputGrid } from '../../../src/data/index.ts';
import { readJpegHeader } from '../../../src/data/jpeg-header.ts';
import { nodeJpegWasm } from '../../../src/platform/node-jpeg.ts';
import { smoothValues } from './volumes.ts';

beforeAll(() => initJpegCodec(nodeJpegWasm));

const GRID: InputGrid = { shape: [3, 17, 23], spacingMm: [3, 1.5, 1.5] };
const VALUES = smoothValues(GRID.shape);
const gradient = (width: number, height: number): Uint8Array => Uint8Array.from({ length: width * height }, (_, i) => (i % width) * (255 / (width - 1)));

describe('grey levels', () => {
  it('cover -1000 to 1000 HU in 256 steps', () => {
    expect([-1, 1, 0.003, -2, 2].map(valueToGrey)).toEqual([0, 255, 128, 0, 255]);
    expect(greyToValue(0)).toBe(-1);
    expect(greyToValue(255)).toBe(1);
    expect([...greyToHu(Uint8Array.of(0, 255))]).toEqual([-1000, 1000]);
    expect([...greyToHu(Uint8Array.of(0, 51, 255), [-600, 420])]).toEqual([-600, -396, 420]);
    for (let grey = 0; grey < 256; grey++) expect(valueToGrey(greyToValue(grey))).toBe(grey);
  });
});

describe('the codec', () => {
  it('writes baseline, one component, 8 bits, and the same bytes again', async () => {
    const grey = gradient(33, 19);
    const bytes = await encodeGreyJpeg(grey, 33, 19, 75);
    expect(readJpegHeader(bytes, 'a')).toEqual({ width: 33, height: 19, components: 1, bitsPerSample: 8 });
    // FFC0 is the baseline frame; annex K's luminance table at quality 75 begins 8, 6, 6 in zigzag order.
    expect(Buffer.from(bytes).indexOf(Buffer.from([0xff, 0xc0]))).toBeGreaterThan(0);
    const table = Buffer.from(bytes).indexOf(Buffer.from([0xff, 0xdb]));
    expect([...bytes.subarray(table + 5, table + 8)]).toEqual([8, 6, 6]);
    expect(await encodeGreyJpeg(grey, 33, 19, 75)).toEqual(bytes);
  });

  it.each([[1, 1], [1, 9], [8, 8], [63, 65], [240, 7]])('returns %i × %i pixels nearly as they were at quality 100', async (width, height) => {
    const grey = Uint8Array.from({ length: width * height }, (_, i) => 128 + 100 * Math.sin(i / 11));
    const bytes = await encodeGreyJpeg(grey, width, height, 100);
    const back = await decodeGreyJpeg(bytes, 'a', { width, height });
    // Quantisation steps are 1 at quality 100: rounding of DCT and of pixels remains.
    expect(Math.max(...back.grey.map((value, i) => Math.abs(value - grey[i]!)))).toBeLessThanOrEqual(2);
  });

  it('loses more at a lower quality and takes fewer bytes', async () => {
    const grey = Uint8Array.from({ length: 64 * 64 }, (_, i) => 128 + 90 * Math.sin(i / 3) * Math.cos(i / 190));
    const results = [];
    for (const quality of [95, 75, 30]) {
      const bytes = await encodeGreyJpeg(grey, 64, 64, quality);
      const { grey: back } = await decodeGreyJpeg(bytes, 'a', { width: 64, height: 64 });
      results.push({ size: bytes.length, error: back.reduce((sum, value, i) => sum + (value - grey[i]!) ** 2, 0) });
    }
    expect(results[0]!.size).toBeGreaterThan(results[1]!.size);
    expect(results[1]!.size).toBeGreaterThan(results[2]!.size);
    expect(results[0]!.error).toBeLessThan(results[1]!.error);
    expect(results[1]!.error).toBeLessThan(results[2]!.error);
  });

  it('refuses a quality and a size that are none', async () => {
    for (const quality of [0, 101, NaN]) await expect(encodeGreyJpeg(new Uint8Array(4), 2, 2, quality)).rejects.toThrow(`quality must be 1 to 100, got ${quality}`);
    await expect(encodeGreyJpeg(new Uint8Array(3), 2, 2, 75)).rejects.toThrow('2 × 2 pixels must match the data, got 3 values');
  });
});

/** A colour JPEG, as a camera or a screenshot gives it. */
async function colourJpeg(width: number, height: number): Promise<Uint8Array> {
  const data = new Uint8ClampedArray(4 * width * height).map((_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256));
  return new Uint8Array(await encodeAny({ data, width, height, colorSpace: 'srgb' } as ImageData));
}

describe('the JPEG volume', () => {
  const make = async (): Promise<Record<string, Uint8Array>> => unzipSync(await encodeJpegVolume(VALUES, GRID, { quality: 90, source: 'scan.nii.gz' }));
  const pack = (files: Record<string, Uint8Array>): Uint8Array => zipSync(files, { level: 0 });

  it('comes back with its grid, quality and source, and its values', async () => {
    const zip = await encodeJpegVolume(VALUES, GRID, { quality: 95, source: 'scan.nii.gz' });
    const volume = await decodeJpegVolume(zip, 'scan.zip');
    expect(volume).toMatchObject({ ...GRID, window: [-1000, 1000], quality: 95, orientation: 'SPL', source: 'scan.nii.gz' });
    const error = greyToValues(volume.grey).reduce((sum, value, i) => sum + Math.abs(value - VALUES[i]!), 0) / VALUES.length;
    expect(error).toBeLessThan(0.012);
    // Slice 000 is the first along D, the most inferior.
    const first = unzipSync(zip)['000.jpg']!;
    const { grey } = await decodeGreyJpeg(first, 'a', { width: 23, height: 17 });
    expect([...volume.grey.subarray(0, grey.length)]).toEqual([...grey]);
  });

  it('is one stored ZIP with the same bytes each time, quality 75 unless said otherwise', async () => {
    const zip = await encodeJpegVolume(VALUES, GRID);
    expect(await encodeJpegVolume(VALUES, GRID)).toEqual(zip);
    const files = unzipSync(zip, { filter: ({ compression }) => compression === 0 });
    expect(Object.keys(files).sort()).toEqual(['000.jpg', '001.jpg', '002.jpg', 'volume.json']);
    expect(JSON.parse(new TextDecoder().decode(files['volume.json']))).toMatchObject({ format: 'ct-lite-jpeg-volume', version: 1, quality: 75 });
  });

  it('has the same bytes on another day', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date(2024, 5, 1) });
    try {
      const first = await encodeJpegVolume(VALUES, GRID);
      vi.setSystemTime(new Date(2031, 0, 2));
      expect(Buffer.compare(await encodeJpegVolume(VALUES, GRID), first)).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('reads a deflated ZIP of the same files', async () => {
    const files = await make();
    const volume = await decodeJpegVolume(zipSync(files, { level: 6 }), 'a');
    expect(volume.grey).toEqual((await decodeJpegVolume(pack(files), 'a')).grey);
  });

  it('round trip in memory equals writing and reading', async () => {
    const volume = await decodeJpegVolume(await encodeJpegVolume(VALUES, GRID, { quality: 40 }), 'a');
    expect(await jpegRoundTrip(VALUES, GRID.shape, 40)).toEqual(volume.grey);
    await expect(jpegRoundTrip(VALUES, [1, 2, 3], 40)).rejects.toThrow('values must be [1, 2, 3] = 6');
  });

  const describedAs = (change: object): ((files: Record<string, Uint8Array>) => Record<string, Uint8Array>) => (files) => ({
    ...files,
    'volume.json': strToU8(JSON.stringify({ ...(JSON.parse(new TextDecoder().decode(files['volume.json'])) as object), ...change })),
  });
  const without = (files: Record<string, Uint8Array>, name: string): Record<string, Uint8Array> =>
    Object.fromEntries(Object.entries(files).filter(([key]) => key !== name));
  type Change = (files: Record<string, Uint8Array>) => Record<string, Uint8Array> | Promise<Record<string, Uint8Array>>;
  const cases: [string, Change, string][] = [
    ['no volume.json', (files) => without(files, 'volume.json'), 'has no volume.json: it is not a JPEG volume'],
    ['volume.json that is no JSON', (files) => ({ ...files, 'volume.json': strToU8('{') }), 'volume.json is not JSON'],
    ['volume.json that is null', (files) => ({ ...files, 'volume.json': strToU8('null') }), 'format must be'],
    ['another format', describedAs({ format: 'zip' }), `format must be 'ct-lite-jpeg-volume', got "zip"`],
    ['a later version', describedAs({ version: 2 }), 'version must be 1, got 2'],
    ['a shape of zero', describedAs({ shape: [3, 0, 23] }), 'shape must be three sizes of 1 to 2048'],
    ['an enormous shape', describedAs({ shape: [2048, 2048, 2048] }), 'shape must be three sizes'],
    ['a shape of two', describedAs({ shape: [3, 17] }), 'shape must be three sizes'],
    ['no spacing', describedAs({ spacingMm: [0, 1, 1] }), 'spacingMm must be three positive numbers, got [0,1,1]'],
    ['a falling window', describedAs({ window: [1000, -1000] }), 'window must be two rising HU'],
    ['another orientation', describedAs({ orientation: 'RAS' }), `orientation must be 'SPL', got "RAS"`],
    ['no quality', describedAs({ quality: 'good' }), 'quality must be 1 to 100, got "good"'],
    ['a missing slice', (files) => without(files, '001.jpg'), 'slice 001.jpg of 3 is missing'],
    ['one slice too many', (files) => ({ ...files, '003.jpg': files['000.jpg']! }), 'says 3 slices, the ZIP holds 4'],
    ['an entry that leaves', (files) => ({ ...files, '../../evil.jpg': files['000.jpg']! }), `got the entry '../../evil.jpg'`],
    ['an absolute entry', (files) => ({ ...files, '/000.jpg': files['000.jpg']! }), `got the entry '/000.jpg'`],
    ['a DICOM series', (files) => ({ ...files, '1-01.dcm': strToU8('x') }), `got the entry '1-01.dcm'`],
    ['a colour slice', async (files) => ({ ...files, '001.jpg': await colourJpeg(23, 17) }), '001.jpg: a slice must be a grey JPEG (1 component), got colour (3 components)'],
    ['a slice of another size', async (files) => ({ ...files, '002.jpg': await encodeGreyJpeg(gradient(17, 23), 17, 23, 75) }), '002.jpg: a slice must be 23 × 17 pixels, got 17 × 23'],
    ['an X-ray among the slices', async (files) => ({ ...files, '000.jpg': await encodeGreyJpeg(gradient(1200, 900), 1200, 900, 50) }), '000.jpg: a slice must be 23 × 17 pixels, got 1200 × 900'],
    ['a slice that is no JPEG', (files) => ({ ...files, '000.jpg': strToU8('GIF89a') }), '000.jpg: not a JPEG'],
    ['a truncated slice', (files) => ({ ...files, '000.jpg': files['000.jpg']!.slice(0, -20) }), '000.jpg: the JPEG is truncated'],
    ['a slice of markers only', (files) => ({ ...files, '000.jpg': Uint8Array.of(0xff, 0xd8, 0xff, 0xd9) }), '000.jpg: the JPEG is damaged'],
    ['a slice far too large', (files) => ({ ...files, '000.jpg': new Uint8Array(100_000) }), '100000 bytes are too many for 23 × 17 pixels'],
  ];
  it.each(cases)('refuses %s', async (_, change, message) => {
    const zip = pack(await change(await make()));
    await expect(decodeJpegVolume(zip, 'scan.zip')).rejects.toThrow(message);
    await expect(decodeJpegVolume(zip, 'scan.zip')).rejects.toThrow(/^decodeJpegVolume: scan\.zip: /);
  });

  it('refuses damaged picture data, and goes on with the next volume', async () => {
    const files = await make();
    const slice = files['001.jpg']!.slice();
    const data = Buffer.from(slice).indexOf(Buffer.from([0xff, 0xda]));
    slice.fill(0xff, data + 12, slice.length - 2);
    await expect(decodeJpegVolume(pack({ ...files, '001.jpg': slice }), 'a')).rejects.toThrow('001.jpg: the JPEG is damaged');
    const tables = files['001.jpg']!.slice();
    tables.fill(0, 20, 60);
    await expect(decodeJpegVolume(pack({ ...files, '001.jpg': tables }), 'a')).rejects.toThrow('001.jpg: the JPEG is damaged');
    expect((await decodeJpegVolume(pack(files), 'a')).shape).toEqual(GRID.shape);
  });

  it('refuses what is no ZIP, or half of one', async () => {
    const zip = await encodeJpegVolume(VALUES, GRID);
    await expect(decodeJpegVolume(new Uint8Array(0), 'a')).rejects.toThrow('not a readable ZIP');
    await expect(decodeJpegVolume(strToU8('PK\u0003\u0004 not really'), 'a')).rejects.toThrow('not a readable ZIP');
    await expect(decodeJpegVolume(zip.slice(0, zip.length >> 1), 'a')).rejects.toThrow('not a readable ZIP');
    await expect(decodeJpegVolume(zip.slice(zip.length >> 1), 'a')).rejects.toThrow(/decodeJpegVolume: a: /);
  });

  it('does not unpack a bomb', async () => {
    const bomb = zipSync({ 'volume.json': new Uint8Array(50_000_000) }, { level: 9 });
    await expect(decodeJpegVolume(bomb, 'a')).rejects.toThrow('volume.json says it has 50000000 bytes, at most 65536 are read');
  });
});
