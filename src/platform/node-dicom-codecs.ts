/**
 * Node's side of the DICOM codecs: a fresh instance of an installed `@cornerstonejs/codec-…` package's WebAssembly decoder.
 * The packages stay outside of the Node bundle, so that they are found by resolution and not by a copied path.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { initDicomCodecs, initJpegCodec } from '../data/index.ts';
import type { WasmCodec, WasmCodecModule } from '../data/index.ts';
import { nodeJpegWasm } from './node-jpeg.ts';

const FILES = {
  openjpeg: { script: '@cornerstonejs/codec-openjpeg/decodewasmjs', wasm: '@cornerstonejs/codec-openjpeg/decodewasm' },
  charls: { script: '@cornerstonejs/codec-charls/decodewasmjs', wasm: '@cornerstonejs/codec-charls/decodewasm' },
  // This package has one build for both ways.
  openjph: { script: '@cornerstonejs/codec-openjph/wasmjs', wasm: '@cornerstonejs/codec-openjph/wasm' },
} as const;

type Factory = (options: { wasmBinary: Uint8Array; print: () => void; printErr: () => void }) => Promise<WasmCodecModule>;

/** For `initDicomCodecs(nodeDicomCodec)` of src/data. Throws where the package is not installed. */
export async function nodeDicomCodec(codec: WasmCodec): Promise<WasmCodecModule> {
  const { script, wasm } = FILES[codec];
  const require = createRequire(import.meta.url);
  try {
    const factory = require(script) as Factory;
    const silent = (): void => undefined;
    return await factory({ wasmBinary: await readFile(require.resolve(wasm)), print: silent, printErr: silent });
  } catch (cause) {
    throw new Error(`nodeDicomCodec: ${script} cannot be loaded (${(cause as Error).message}); run npm ci`, { cause });
  }
}

/** Every codec that scans may need, from the installed packages; nothing is loaded before it is used. */
export function initNodeCodecs(): void {
  initJpegCodec(nodeJpegWasm);
  initDicomCodecs(nodeDicomCodec);
}
