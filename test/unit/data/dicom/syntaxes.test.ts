/** Every transfer syntax that is read: the same slices in each must give the same HU. */
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeGreyJpeg, readDicom } from '../../../../src/data/index.ts';
import { initNodeCodecs } from '../../../../src/platform/node-dicom-codecs.ts';
import { frameEncoder } from '../../../support/compressed-slices.ts';
import type { EncodeFrame } from '../../../support/compressed-slices.ts';
import { COLUMNS, ctSeries, ctSlice, expectedHu, NAME, ROWS, source, storedValues, words } from '../../../support/dicom-series.ts';
import { SYNTAX, writeDicom } from '../../../support/dicom-writer.ts';
import type { DicomValue } from '../../../support/dicom-writer.ts';
import { encodeLosslessJpeg, encodeRle } from '../../../support/frame-encoders.ts';

beforeAll(initNodeCodecs);

const read = (syntax: string, change: Parameters<typeof ctSeries>[1] = () => ({}), options = {}) => readDicom(ctSeries(3, change, { syntax, ...options }), NAME);

describe('uncompressed', () => {
  it.each([
    ['implicit little endian', SYNTAX.implicit],
    ['explicit little endian', SYNTAX.explicit],
    ['deflated', SYNTAX.deflated],
  ])('%s', async (_, syntax) => {
    const volume = await read(syntax);
    expect(volume.hu).toEqual(expectedHu(3));
    expect(volume).toMatchObject({ shape: [3, ROWS, COLUMNS], spacingMm: [2.5, 0.8, 0.7], warnings: [], source: NAME });
  });

  it('explicit big endian', async () => {
    const volume = await read(SYNTAX.bigEndian, (k) => ({ '7FE00010': ['OW', words(storedValues(k), false)] }));
    expect(volume.hu).toEqual(expectedHu(3));
  });

  it.each([['implicit', SYNTAX.implicit], ['explicit', SYNTAX.explicit]])('%s without the Part 10 preamble', async (_, syntax) => {
    expect((await read(syntax, undefined, { part10: false })).hu).toEqual(expectedHu(3));
  });
});

describe('compressed', () => {
  const encoders: [string, string, () => Promise<EncodeFrame>][] = [
    ['RLE lossless', '1.2.840.10008.1.2.5', async () => (values) => encodeRle(words(values))],
    ['JPEG lossless, selection 1', '1.2.840.10008.1.2.4.70', async () => (values, bits) => encodeLosslessJpeg(values, COLUMNS, bits, 1)],
    ['JPEG lossless, any selection', '1.2.840.10008.1.2.4.57', async () => (values, bits) => encodeLosslessJpeg(values, COLUMNS, bits, 4)],
    ['JPEG-LS lossless', '1.2.840.10008.1.2.4.80', () => frameEncoder('charls')],
    ['JPEG 2000 lossless', '1.2.840.10008.1.2.4.90', () => frameEncoder('openjpeg')],
    ['HTJ2K lossless', '1.2.840.10008.1.2.4.201', () => frameEncoder('openjph')],
    ['HTJ2K lossless RPCL', '1.2.840.10008.1.2.4.202', () => frameEncoder('openjph')],
  ];

  it.each(encoders)('%s, 12 bits', async (_, syntax, encoder) => {
    const encode = await encoder();
    const volume = await read(syntax, (k) => ({ '7FE00010': ['OB', { fragments: [encode(storedValues(k), 12, false)] }] }));
    expect(volume.hu).toEqual(expectedHu(3));
    expect(volume.warnings).toEqual([]);
  });

  it.each(encoders)('%s, 16 bits signed', async (_, syntax, encoder) => {
    const encode = await encoder();
    // CharLS and lossless JPEG know no sign: the words are what counts.
    const signed = !/JPEG-LS|JPEG lossless/.test(_);
    const volume = await read(syntax, (k) => ({
      '00280101': ['US', 16], '00280102': ['US', 15], '00280103': ['US', 1], '00281052': ['DS', '0'],
      '7FE00010': ['OB', { fragments: [encode(storedValues(k).map((value) => value - 1024), 16, signed)] }],
    }));
    expect(volume.hu).toEqual(expectedHu(3));
  });

  it.each(encoders)('%s in several fragments, and damaged ones refused', async (_, syntax, encoder) => {
    const bytes = (await encoder())(storedValues(0), 12, false);
    const half = 2 * (bytes.length >> 2);
    const slice = (fragments: Uint8Array[], change = {}) => [source('0.dcm', writeDicom(ctSlice(0, { '7FE00010': ['OB', { fragments }], ...change }), { syntax }))];
    expect((await readDicom(slice([bytes.subarray(0, half), bytes.subarray(half)]), NAME)).hu).toEqual(expectedHu(1));
    await expect(readDicom(slice([bytes.subarray(0, half)]), NAME)).rejects.toThrow(/readDicom: scan: 0\.dcm: .*(cut off|damaged)/);
    await expect(readDicom(slice([bytes], { '00280010': ['US', 7] }), NAME)).rejects.toThrow(/readDicom: scan: 0\.dcm: /);
    await expect(readDicom(slice([new Uint8Array(64).fill(1)]), NAME)).rejects.toThrow(/readDicom: scan: 0\.dcm: /);
    await expect(readDicom(slice([]), NAME)).rejects.toThrow('has no fragments');
  });

  it('JPEG baseline, 8 bits: near, and said to be', async () => {
    const grey = (k: number): Uint8Array => Uint8Array.from({ length: ROWS * COLUMNS }, (_, i) => 40 + 4 * i + k);
    const fragments = await Promise.all([0, 1, 2].map((k) => encodeGreyJpeg(grey(k), COLUMNS, ROWS, 98)));
    const eight = (k: number): NonNullable<Parameters<typeof ctSlice>[1]> => ({
      '00280100': ['US', 8], '00280101': ['US', 8], '00280102': ['US', 7], '00281053': ['DS', '8'], '7FE00010': ['OB', { fragments: [fragments[k]!] }],
    });
    for (const syntax of ['1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51']) {
      const volume = await read(syntax, eight);
      volume.hu.forEach((value, i) => expect(Math.abs(value - (8 * (40 + 4 * (i % 30) + Math.floor(i / 30)) - 1024))).toBeLessThanOrEqual(32));
      expect(volume.warnings).toEqual(['the series was compressed with loss before: HU are near, not exact']);
    }
  });

  it('JPEG lossless to the last sample, and nothing less', async () => {
    // The last code may end anywhere in its byte: equal samples at the end make it a short one.
    for (let seed = 0; seed < 64; seed++) {
      const values = storedValues(seed).map((value, i) => (i > 26 ? 5 : (value * (seed + 3)) % 2000));
      const change = { '7FE00010': ['OB', { fragments: [encodeLosslessJpeg(values, COLUMNS, 12, 1)] }] as [string, DicomValue] };
      const { hu } = await readDicom([source('0', writeDicom(ctSlice(0, change), { syntax: '1.2.840.10008.1.2.4.70' }))], NAME);
      expect([...hu], `seed ${seed}`).toEqual(values.map((value) => value - 1024));
    }
    const whole = encodeLosslessJpeg(storedValues(0), COLUMNS, 12, 1);
    const cut = Uint8Array.from([...whole.subarray(0, whole.length - 20), 0xff, 0xd9]);
    const slice = writeDicom(ctSlice(0, { '7FE00010': ['OB', { fragments: [cut] }] }), { syntax: '1.2.840.10008.1.2.4.70' });
    await expect(readDicom([source('0', slice)], NAME)).rejects.toThrow(/the lossless JPEG frame is damaged \(it gives \d of 6 rows\)/);
  });

  it.each([['1.2.840.10008.1.2.4.110', 'JPEG XL lossless (1.2.840.10008.1.2.4.110)'], ['1.2.3', '1.2.3']])('%s is refused by name', async (syntax, name) => {
    await expect(read(syntax)).rejects.toThrow(`the transfer syntax ${name} is not read; export the series as explicit little endian`);
  });
});
