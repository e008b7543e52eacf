/** Writes a tar archive file by file: only one file's content is in memory, and the archive appears whole or not at all. */
import { tarEnd, tarHeader, tarPadding } from '../data/index.ts';
import { writeFileParts } from './node-files.ts';

export interface TarFile {
  name: string;
  content: Uint8Array;
}

/** The same files give the same bytes. Throws what the disk or `files` throws, and leaves nothing behind then. */
export function writeTarFile(path: string, files: AsyncIterable<TarFile>): Promise<void> {
  return writeFileParts(path, tarParts(files));
}

async function* tarParts(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { name, content } of files) yield* [tarHeader(name, content.length), content, tarPadding(content.length)];
  yield tarEnd();
}
