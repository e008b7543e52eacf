/** The bytes of a checkpoint: a file of the user's, the demo that the host may serve, or a run in this browser's storage. */
import { openPrivateFiles } from '../src/platform/browser-files.ts';
import type { CheckpointSource } from './protocol.ts';
import { checkpointPath } from './run-store.ts';

/** Beside the page, where `npm run web:demo` has put it. */
export const DEMO_CHECKPOINT = 'demo/checkpoint.safetensors';

const mostBytes = 2 ** 31 - 1;

export async function checkpointBytes(source: CheckpointSource): Promise<{ bytes: Uint8Array; name: string }> {
  if (source.kind === 'run') return { bytes: await (await openPrivateFiles()).readFile(checkpointPath(source.id)), name: `run ${source.id}` };
  if (source.kind === 'file') {
    const { file } = source;
    if (file.size > mostBytes) throw new Error(`${file.name}: ${(file.size / 2 ** 30).toFixed(1)} GiB are too large for a browser; use ct-lite predict with it`);
    return { bytes: new Uint8Array(await file.arrayBuffer()), name: file.name };
  }
  const reply = await fetch(new URL(DEMO_CHECKPOINT, import.meta.url));
  if (!reply.ok) throw new Error('demo model: this host does not serve one; train a model on drawn chests under "Fine-tune", or run npm run web:demo before npm run web');
  return { bytes: new Uint8Array(await reply.arrayBuffer()), name: 'demo model (trained on drawn chests)' };
}
