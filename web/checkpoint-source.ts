/** The bytes of a checkpoint: a file of the user's, the demo that comes with the page, or a run in this browser's storage. */
import { openPrivateFiles } from '../src/platform/browser-files.ts';
import type { CheckpointSource } from './protocol.ts';
import { checkpointPath, readRunConfig } from './run-store.ts';

/** Beside the page; `npm run web:demo` made it. */
export const DEMO_CHECKPOINT = 'demo/checkpoint.safetensors';

const mostBytes = 2 ** 31 - 1;

export interface HeldCheckpoint {
  bytes: Uint8Array;
  name: string;
  /** Known to be trained on drawn chests alone. */
  phantom: boolean;
}

/** @throws naming the file where it is too large for a browser or cannot be had. */
export async function checkpointBytes(source: CheckpointSource): Promise<HeldCheckpoint> {
  if (source.kind === 'run') {
    const files = await openPrivateFiles();
    return { bytes: await files.readFile(checkpointPath(source.id)), name: `run ${source.id}`, phantom: (await readRunConfig(files, source.id)).phantom };
  }
  if (source.kind === 'file') {
    const { file } = source;
    if (file.size > mostBytes) throw new Error(`${file.name}: ${(file.size / 2 ** 30).toFixed(1)} GiB are too large for a browser; use ct-lite predict with it`);
    return { bytes: new Uint8Array(await file.arrayBuffer()), name: file.name, phantom: false };
  }
  const reply = await fetch(new URL(DEMO_CHECKPOINT, import.meta.url));
  if (!reply.ok) throw new Error(`demo model: this host does not serve ${DEMO_CHECKPOINT} (${reply.status}); copy the whole folder that the build made`);
  return { bytes: new Uint8Array(await reply.arrayBuffer()), name: 'Demo model', phantom: true };
}
