/** One phantom volume to its file, in a worker thread or, where there is none, in this one. */
import { dirname } from 'node:path';
import { renderPhantomFile } from '../data/phantom/index.ts';
import type { PhantomOptions, PhantomVolumeKey } from '../data/phantom/index.ts';
import { nodeFiles } from './node-files.ts';

export interface PhantomJob {
  /** File to write. */
  path: string;
  seed: number;
  volume: PhantomVolumeKey;
  options: PhantomOptions;
}

export type PhantomReply = { bytes: number } | { error: string };

/** Writes atomically, so that a volume that is there is whole. Gives its size in bytes. */
export async function writePhantomVolume({ path, seed, volume, options }: PhantomJob): Promise<number> {
  const { bytes } = renderPhantomFile(seed, volume, options);
  await nodeFiles.makeDirectory(dirname(path));
  await nodeFiles.writeFile(path, bytes);
  return bytes.length;
}
