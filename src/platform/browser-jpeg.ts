/** The browser's side of the JPEG codec: the two WebAssembly files lie beside the bundle (esbuild.mjs copies them). */

/** For `initJpegCodec(browserJpegWasm)` of src/data. Throws where the host does not serve the file. */
export async function browserJpegWasm(file: 'mozjpeg_enc.wasm' | 'mozjpeg_dec.wasm'): Promise<Uint8Array> {
  const url = new URL(file, import.meta.url);
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`browserJpegWasm: ${url.pathname}: the host answered ${reply.status}; serve the whole folder that npm run build made`);
  return new Uint8Array(await reply.arrayBuffer());
}
