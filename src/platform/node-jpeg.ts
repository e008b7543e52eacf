/**
 * Node's side of the JPEG codec: the bytes of the two WebAssembly files, from the installed `@jsquash/jpeg`.
 * The package stays outside of the Node bundle, so that the files are found by resolution and not by a copied path.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const FOLDERS = { 'mozjpeg_enc.wasm': 'enc', 'mozjpeg_dec.wasm': 'dec' } as const;

/** For `initJpegCodec(nodeJpegWasm)` of src/data. Throws where the package is not installed. */
export async function nodeJpegWasm(file: keyof typeof FOLDERS): Promise<Uint8Array> {
  const path = `@jsquash/jpeg/codec/${FOLDERS[file]}/${file}`;
  try {
    return await readFile(createRequire(import.meta.url).resolve(path));
  } catch (cause) {
    throw new Error(`nodeJpegWasm: ${path} cannot be read (${(cause as Error).message}); run npm ci`, { cause });
  }
}
