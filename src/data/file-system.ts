/**
 * The narrow file system that src/data and src/train read and write through, so that they run in Node (src/platform) and in a
 * browser (OPFS) alike. Paths are the implementation's own; build them with `join`.
 */
export interface FileEntry {
  name: string;
  kind: 'file' | 'directory';
  /** Size in bytes; 0 for a directory. */
  bytes: number;
}

export interface FileSystem {
  /** The whole file. Throws naming the path where it is missing or unreadable. */
  readFile(path: string): Promise<Uint8Array>;
  /** Bytes from `offset` on, fewer at the end of the file. Without it, readers of large archives read the whole file. */
  readPart?(path: string, offset: number, bytes: number): Promise<Uint8Array>;
  /** Atomic: a reader sees the old bytes or the new ones, never half of them. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  /** Adds text to the end of a file, making the file where it is missing. */
  appendFile(path: string, text: string): Promise<void>;
  /** Entries of one directory, not of those below it; order unspecified. */
  list(directory: string): Promise<FileEntry[]>;
  exists(path: string): Promise<boolean>;
  /** Makes the directory and its parents; no error where it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Removes a file, or a directory with what is in it; no error where it is missing. */
  remove(path: string): Promise<void>;
  join(...parts: string[]): string;
}
