/** Writes a tar archive file by file: only one file's content is in memory, and the archive appears whole or not at all. */
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { tarEnd, tarHeader, tarPadding } from '../data/index.ts';

export interface TarFile {
  name: string;
  content: Uint8Array;
}

/** The same files give the same bytes. Throws what the disk or `files` throws, and leaves nothing behind then. */
export async function writeTarFile(path: string, files: AsyncIterable<TarFile>): Promise<void> {
  const fresh = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(fresh, 'wx');
    try {
      for await (const { name, content } of files) {
        for (const part of [tarHeader(name, content.length), content, tarPadding(content.length)]) await file.writeFile(part);
      }
      await file.writeFile(tarEnd());
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {});
    throw error;
  }
}
