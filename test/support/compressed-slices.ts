/** Frames and slices compressed by the encoders that come with the codec packages; the software itself carries decoders only. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { COLUMNS, ctSlice, ROWS, storedValues, words } from './dicom-series.ts';
import { writeDicom } from './dicom-writer.ts';

interface Encoder {
  getDecodedBuffer(info: object): Uint8Array;
  getEncodedBuffer(): Uint8Array;
  encode(): void;
  delete(): void;
  setQuality?(reversible: boolean, rate: number): void;
  setDecompositions?(levels: number): void;
}
export type EncodeFrame = (values: number[], bits: number, signed: boolean) => Uint8Array;

const ENCODERS = {
  openjpeg: { className: 'J2KEncoder', syntax: '1.2.840.10008.1.2.4.90' },
  openjph: { className: 'HTJ2KEncoder', syntax: '1.2.840.10008.1.2.4.201' },
  charls: { className: 'JpegLSEncoder', syntax: '1.2.840.10008.1.2.4.80' },
} as const;

/** Lossless encoding of a slice's words. */
export async function frameEncoder(name: keyof typeof ENCODERS): Promise<EncodeFrame> {
  const require = createRequire(import.meta.url);
  const { className } = ENCODERS[name];
  const factory = require(`@cornerstonejs/codec-${name}/wasmjs`) as (options: object) => Promise<Record<string, new () => Encoder>>;
  const silent = (): void => undefined;
  const module = await factory({ wasmBinary: readFileSync(require.resolve(`@cornerstonejs/codec-${name}/wasm`)), print: silent, printErr: silent });
  return (values, bits, signed) => {
    const encoder = new module[className]!();
    encoder.getDecodedBuffer({ width: COLUMNS, height: ROWS, bitsPerSample: bits, componentCount: 1, isSigned: signed, isUsingColorTransform: false }).set(words(values));
    encoder.setDecompositions?.(1);
    encoder.setQuality?.(true, 0);
    encoder.encode();
    const bytes = encoder.getEncodedBuffer().slice();
    encoder.delete();
    return bytes;
  };
}

const slice = (name: keyof typeof ENCODERS) => async (): Promise<Uint8Array> => {
  const encode = await frameEncoder(name);
  return writeDicom(ctSlice(0, { '7FE00010': ['OB', { fragments: [encode(storedValues(0), 12, false)] }] }), { syntax: ENCODERS[name].syntax });
};

/** One whole slice in each of the syntaxes. */
export const compressedSlices = { openjpeg: slice('openjpeg'), openjph: slice('openjph'), charls: slice('charls') };
