/**
 * Files in a browser for src/data and src/train: the origin private file system (OPFS), which no other page and no program of the
 * user sees, and lists of files that the user gave, read-only.
 */
import type { FileEntry, FileSystem } from '../data/index.ts';

/** What OPFS says by the name of its exception, and what to do. */
const REMEDIES: Record<string, string> = {
  QuotaExceededError: "the browser's storage for this page is full; remove older runs, or free some disk space, then go on",
  NotFoundError: 'no such file or folder',
  TypeMismatchError: 'a file is where a folder is needed, or the other way round',
  NoModificationAllowedError: 'the file is in use by another tab; close that one',
  NotAllowedError: 'the browser does not allow it; leave private browsing, or allow this page to store data',
  SecurityError: 'the browser does not allow it; leave private browsing, or allow this page to store data',
  NotReadableError: 'the file cannot be read any more; it was changed, moved or is not allowed to be read: choose it again',
};

/** A failure of the browser's storage: what was tried, the path and what to do. `code` is the exception's name. */
export class BrowserFileError extends Error {
  readonly code: string;

  constructor(action: string, path: string, cause: unknown) {
    const { name, message } = cause as DOMException;
    super(`${action}: ${path}: ${REMEDIES[name] ?? message} (${name})`, { cause });
    this.name = 'BrowserFileError';
    this.code = name;
  }
}

async function named<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof BrowserFileError ? error : new BrowserFileError(action, path, error);
  }
}

const join = (...parts: string[]): string => partsOf(parts.join('/')).join('/');

/** @throws for `..`: a path never leaves the folder that it starts in. */
function partsOf(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Error(`path: ${path}: must not hold '..'`);
  return parts;
}

/** The origin private file system. Throws with a remedy where the browser keeps it from the page. */
export async function openPrivateFiles(): Promise<FileSystem> {
  return named('openPrivateFiles', 'storage', async () => directoryFiles(await navigator.storage.getDirectory()));
}

/** A FileSystem below a directory handle. Paths are relative to it, with '/'. */
export function directoryFiles(root: FileSystemDirectoryHandle): FileSystem {
  const folder = async (parts: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> => {
    let handle = root;
    for (const part of parts) handle = await handle.getDirectoryHandle(part, { create });
    return handle;
  };
  const fileHandle = async (path: string, create: boolean): Promise<FileSystemFileHandle> => {
    const parts = partsOf(path);
    return (await folder(parts.slice(0, -1), false)).getFileHandle(parts.at(-1) ?? '', { create });
  };
  /** A writable stream goes into a file of its own, which takes the place of the old one when it is closed: never half of it. */
  const write = async (path: string, options: FileSystemCreateWritableOptions, fill: (stream: FileSystemWritableFileStream, before: number) => Promise<void>): Promise<void> => {
    const parts = partsOf(path);
    const parent = await folder(parts.slice(0, -1), false);
    const existed = await parent.getFileHandle(parts.at(-1)!).then(() => true, () => false);
    const handle = await parent.getFileHandle(parts.at(-1)!, { create: true });
    try {
      const stream = await handle.createWritable(options);
      try {
        await fill(stream, options.keepExistingData ? (await handle.getFile()).size : 0);
        await stream.close();
      } catch (error) {
        await stream.abort().catch(() => {});
        throw error;
      }
    } catch (error) {
      // The empty file was made for this write only.
      if (!existed) await parent.removeEntry(parts.at(-1)!).catch(() => {});
      throw error;
    }
  };

  return {
    readFile: (path) => named('readFile', path, async () => new Uint8Array(await (await (await fileHandle(path, false)).getFile()).arrayBuffer())),
    writeFile: (path, bytes) => named('writeFile', path, () => write(path, {}, (stream) => stream.write(bytes as Uint8Array<ArrayBuffer>))),
    appendFile: (path, text) => named('appendFile', path, () => write(path, { keepExistingData: true }, (stream, position) => stream.write({ type: 'write', position, data: text }))),
    list: (directory) =>
      named('list', directory, async () => {
        const entries: FileEntry[] = [];
        for await (const [name, handle] of (await folder(partsOf(directory), false)).entries()) {
          entries.push(handle.kind === 'directory' ? { name, kind: 'directory', bytes: 0 } : { name, kind: 'file', bytes: (await (handle as FileSystemFileHandle).getFile()).size });
        }
        return entries;
      }),
    exists: (path) =>
      named('exists', path, async () => {
        const parts = partsOf(path);
        const missing = (error: unknown): boolean => {
          if (['NotFoundError', 'TypeMismatchError'].includes((error as DOMException).name)) return false;
          throw error;
        };
        if (parts.length === 0) return true;
        const parent = await folder(parts.slice(0, -1), false).catch((error: unknown) => (missing(error), null));
        if (!parent) return false;
        const name = parts.at(-1)!;
        return (await parent.getFileHandle(name).then(() => true, missing)) || parent.getDirectoryHandle(name).then(() => true, missing);
      }),
    makeDirectory: (path) => named('makeDirectory', path, async () => void (await folder(partsOf(path), true))),
    remove: (path) =>
      named('remove', path, async () => {
        const parts = partsOf(path);
        try {
          await (await folder(parts.slice(0, -1), false)).removeEntry(parts.at(-1)!, { recursive: true });
        } catch (error) {
          if ((error as DOMException).name !== 'NotFoundError') throw error;
        }
      }),
    join,
  };
}

/** A file that is read when it is asked for. */
export interface ListedFile {
  bytes: number;
  read(): Promise<Uint8Array>;
  /** Bytes from `offset` on, fewer at the end; without it the whole is read. */
  readPart?(offset: number, bytes: number): Promise<Uint8Array>;
}

/** A file of the user's. */
export function listedBlob(file: Blob): ListedFile {
  const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());
  return { bytes: file.size, read: () => bytesOf(file), readPart: (offset, bytes) => bytesOf(file.slice(offset, offset + bytes)) };
}

/** Files by path as a read-only FileSystem: what a user dropped or chose, and what is made when it is read. */
export function listedFiles(files: ReadonlyMap<string, ListedFile>): FileSystem {
  const paths = new Map([...files].map(([path, file]) => [join(path), file]));
  const below = (directory: string): string[] => {
    const start = join(directory);
    return [...paths.keys()].filter((path) => start === '' || path.startsWith(`${start}/`));
  };
  const refuse = (path: string): Promise<never> => Promise.reject(new Error(`writeFile: ${path}: the files that were chosen are only read`));
  const fileAt = (path: string): ListedFile => {
    const found = paths.get(join(path));
    if (!found) throw new DOMException('missing', 'NotFoundError');
    return found;
  };
  return {
    readFile: (path) => named('readFile', path, async () => fileAt(path).read()),
    readPart: (path, offset, bytes) =>
      named('readFile', path, async () => {
        const file = fileAt(path);
        return file.readPart ? file.readPart(offset, bytes) : (await file.read()).subarray(offset, offset + bytes);
      }),
    async list(directory) {
      const depth = partsOf(directory).length;
      const entries = new Map<string, FileEntry>();
      for (const path of below(directory)) {
        const [name, ...rest] = partsOf(path).slice(depth);
        entries.set(name!, rest.length > 0 ? { name: name!, kind: 'directory', bytes: 0 } : { name: name!, kind: 'file', bytes: paths.get(path)!.bytes });
      }
      return [...entries.values()];
    },
    exists: async (path) => paths.has(join(path)) || below(path).length > 0,
    writeFile: refuse,
    appendFile: refuse,
    makeDirectory: refuse,
    remove: refuse,
    join,
  };
}
