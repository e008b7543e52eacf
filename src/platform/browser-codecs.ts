/**
 * The browser's side of the codecs of JPEG volumes and of compressed DICOM. Nothing is loaded before it is used: the scripts of the
 * DICOM decoders are bundles of their own, and all WebAssembly lies beside the bundle.
 */
import { initDicomCodecs, initJpegCodec } from '../data/index.ts';
import type { WasmCodec, WasmCodecModule } from '../data/index.ts';
import { besideBundle } from './browser-wasm.ts';

type Factory = (options: { wasmBinary: Uint8Array; print: () => void; printErr: () => void }) => Promise<WasmCodecModule>;

const CODECS: Record<WasmCodec, { script: () => Promise<unknown>; wasm: string }> = {
  openjpeg: { script: () => import('@cornerstonejs/codec-openjpeg/decodewasmjs'), wasm: 'openjpegwasm_decode.wasm' },
  charls: { script: () => import('@cornerstonejs/codec-charls/decodewasmjs'), wasm: 'charlswasm_decode.wasm' },
  openjph: { script: () => import('@cornerstonejs/codec-openjph/wasmjs'), wasm: 'openjphjs.wasm' },
};

/** A fresh instance, for `initDicomCodecs` of src/data. Throws where the host does not serve its files. */
export async function browserDicomCodec(codec: WasmCodec): Promise<WasmCodecModule> {
  const { script, wasm } = CODECS[codec];
  const { default: factory } = (await script()) as { default: Factory };
  const silent = (): void => undefined;
  return factory({ wasmBinary: await besideBundle(wasm), print: silent, printErr: silent });
}

/** Every codec that scans may need. */
export function initBrowserCodecs(): void {
  initJpegCodec(besideBundle);
  initDicomCodecs(browserDicomCodec);
}
