/** WebAssembly files that lie beside the bundle (esbuild.mjs copies them). */

/** Throws where the host does not serve the file. */
export async function besideBundle(file: string): Promise<Uint8Array> {
  const url = new URL(file, import.meta.url);
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${file}: the host answered ${reply.status}; serve the whole folder that npm run build made`);
  return new Uint8Array(await reply.arrayBuffer());
}
