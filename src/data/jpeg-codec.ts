/**
 * 8-bit grey JPEG through MozJPEG in WebAssembly (`@jsquash/jpeg`): the same bytes in Node and in browsers, because the same
 * integer code runs in both.
 *
 * [O] Baseline, one component, the standard's example quantisation tables (annex K), so that a quality means what it means in
 * libjpeg and volumes compressed elsewhere look the same to the model.
 */
import decode, { init as initDecoder } from '@jsquash/jpeg/decode.js';
import encode, { init as initEncoder } from '@jsquash/jpeg/encode.js';
import { readJpegHeader } from './jpeg-header.ts';

export type JpegWasmFile = 'mozjpeg_enc.wasm' | 'mozjpeg_dec.wasm';
/** Gives the bytes of one of the two WebAssembly files of `@jsquash/jpeg`, or the compiled module. */
export type JpegWasmLoader = (file: JpegWasmFile) => Promise<Uint8Array | WebAssembly.Module>;

export interface GreyImage {
  /** 0..255, row by row. */
  grey: Uint8Array;
  width: number;
  height: number;
}

type Init = (module: WebAssembly.Module | undefined, overrides: { printErr: (message: string) => void }) => Promise<void>;

const GREYSCALE = 1;
const ANNEX_K_TABLES = 0;
/** The format's own limit on a side. */
const MAX_JPEG_SIDE = 65500;

let loader: JpegWasmLoader | undefined;
let decoderMessage = '';
const ready: { encoder?: Promise<void>; decoder?: Promise<void> } = {};

/**
 * Says where the codec's WebAssembly comes from; Node needs it (src/platform/node-jpeg.ts), a browser may rely on the
 * package's own fetch. Nothing is loaded before the first picture.
 */
export function initJpegCodec(wasm: JpegWasmLoader): void {
  loader = wasm;
  ready.encoder = undefined;
  ready.decoder = undefined;
}

async function start(init: Init, file: JpegWasmFile): Promise<void> {
  const given = await loader?.(file);
  const module = given === undefined || given instanceof WebAssembly.Module ? given : await WebAssembly.compile(given as BufferSource);
  await init(module, { printErr: (message) => void (decoderMessage = message) });
}

/**
 * @param grey 0..255, row by row, width·height of them.
 * @param quality 1..100 as in libjpeg.
 * @returns a baseline grey JPEG.
 */
export async function encodeGreyJpeg(grey: Uint8Array, width: number, height: number, quality: number): Promise<Uint8Array> {
  checkQuality('encodeGreyJpeg', quality);
  if (grey.length !== width * height || width < 1 || height < 1 || width > MAX_JPEG_SIDE || height > MAX_JPEG_SIDE) {
    throw new Error(`encodeGreyJpeg: ${width} × ${height} pixels must match the data, got ${grey.length} values`);
  }
  await (ready.encoder ??= start(initEncoder as Init, 'mozjpeg_enc.wasm'));
  const data = new Uint8ClampedArray(grey.length * 4);
  const pixels = new Uint32Array(data.buffer);
  for (let i = 0; i < grey.length; i++) pixels[i] = 0xff000000 | (grey[i]! * 0x010101);
  const image = { data, width, height, colorSpace: 'srgb' } as ImageData;
  const bytes = await encode(image, {
    quality: Math.round(quality),
    baseline: true,
    progressive: false,
    color_space: GREYSCALE as number as never,
    quant_table: ANNEX_K_TABLES,
  });
  return new Uint8Array(bytes);
}

/** @throws where quality is not a number from 1 to 100. */
export function checkQuality(where: string, quality: number): void {
  if (!(quality >= 1 && quality <= 100)) throw new Error(`${where}: quality must be 1 to 100, got ${quality}`);
}

/**
 * @param expected size that the picture must have, checked before anything is decoded.
 * @throws `where: …` for colour, another size, more than 8 bits, truncated or damaged JPEG.
 */
export async function decodeGreyJpeg(
  bytes: Uint8Array,
  where: string,
  expected: { width: number; height: number },
): Promise<GreyImage> {
  const header = readJpegHeader(bytes, where);
  if (header.components !== 1) {
    throw new Error(`${where}: a slice must be a grey JPEG (1 component), got colour (${header.components} components); make the JPEG volume from the scan with 'ct-lite prepare'`);
  }
  if (header.bitsPerSample !== 8) throw new Error(`${where}: a slice must have 8 bits a pixel, got ${header.bitsPerSample}`);
  if (header.width !== expected.width || header.height !== expected.height) {
    throw new Error(`${where}: a slice must be ${expected.width} × ${expected.height} pixels, got ${header.width} × ${header.height}`);
  }
  await (ready.decoder ??= start(initDecoder as Init, 'mozjpeg_dec.wasm'));
  decoderMessage = '';
  let rgba: Uint8ClampedArray;
  try {
    ({ data: rgba } = await decode(new Uint8Array(bytes).buffer));
  } catch (cause) {
    // A decoder that has left through exit() is not used again.
    ready.decoder = undefined;
    throw new Error(`${where}: the JPEG is damaged (${decoderMessage || (cause as Error).message}); make or copy it again`, { cause });
  }
  // Damaged data is patched with grey and only reported.
  if (decoderMessage !== '') throw new Error(`${where}: the JPEG is damaged (${decoderMessage}); make or copy it again`);
  const grey = new Uint8Array(header.width * header.height);
  for (let i = 0; i < grey.length; i++) grey[i] = rgba[4 * i]!;
  return { grey, width: header.width, height: header.height };
}
