/** The file system of Node for src/data and src/train: atomic writes, and errors that name the path, the rule and the remedy. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileEntry, FileSystem } from '../data/index.ts';

const REMEDIES: Record<string, string> = {
  ENOSPC: 'the disk is full; free some space, or choose a folder on another disk',
  EDQUOT: 'the disk quota is used up; free some space, or choose a folder on another disk',
  EFBIG: 'the file is larger than the file system or the limit of this process allows; choose a folder on another disk, or raise "ulimit -f"',
  EACCES: 'this user may not do that there; choose a folder of your own, or change its permissions',
  EPERM: 'this user may not do that there; choose a folder of your own, or change its permissions',
  EROFS: 'the file system is read-only; choose a folder that can be written',
  ENOENT: 'no such file or folder; check the path',
  ENOTDIR: 'a part of the path is a file, not a folder; check the path',
  EISDIR: 'it is a folder, a file is needed; check the path',
  EEXIST: 'a file of that name is in the way; choose another path',
  EMFILE: 'too many files are open; raise "ulimit -n"',
  EIO: 'the disk reported a fault; check the disk',
};

/** Wraps a failure of the file system: what was tried, the path, the system's own word and what to do. Keeps `code` and `cause`. */
function fileError(action: string, path: string, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  const remedy = (code && REMEDIES[code]) ?? message;
  return Object.assign(new Error(`${action}: ${path}: ${remedy}${code ? ` (${code})` : ''}`, { cause }), { code });
}

/** Runs `work` so that what it throws names the action, the path and a remedy. */
export async function named<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(action, path, error);
  }
}

/** After a rename the folder's own entry is to reach the disk too. Windows can't open a folder; some network disks refuse it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

type Parts = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

async function writeAtomically(path: string, parts: Parts): Promise<void> {
  // In the same folder: a rename is atomic within one file system only.
  const fresh = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(fresh, 'wx');
    try {
      // writeFile on an open file goes on where the last one ended.
      for await (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Writes a file whose parts are made one after another, as atomically as `writeFile`: what throws on the way leaves nothing behind. */
export function writeFileParts(path: string, parts: Parts): Promise<void> {
  return writeAtomically(path, parts).catch((error: NodeJS.ErrnoException) => {
    // Without a code, or with a cause already named, it is the maker of the parts that failed.
    throw error.code && !error.cause ? fileError('writeFile', path, error) : error;
  });
}

/** SHA-256 of a file's bytes in hexadecimal; the file is not held in memory. */
export function sha256OfFile(path: string): Promise<string> {
  return named('read', path, async () => {
    const hash = createHash('sha256');
    for await (const part of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(part as Uint8Array);
    return hash.digest('hex');
  });
}

async function readPart(path: string, offset: number, bytes: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const buffer = new Uint8Array(Math.max(0, Math.min(bytes, (await file.stat()).size - offset)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function entry(directory: string, name: string): Promise<FileEntry | null> {
  // stat follows links, as readers do; a dangling link, or a file removed meanwhile, is not there.
  const found = await stat(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (found?.isDirectory()) return { name, kind: 'directory', bytes: 0 };
  return found?.isFile() ? { name, kind: 'file', bytes: found.size } : null;
}

/** Node's files. Every error carries Node's `code`; entries of `list` come sorted by name. */
export const nodeFiles: FileSystem = {
  readFile: (path) =>
    named('readFile', path, async () => {
      const { buffer, byteOffset, byteLength } = await readFile(path);
      return new Uint8Array(buffer, byteOffset, byteLength);
    }),

  readPart: (path, offset, bytes) => named('readFile', path, () => readPart(path, offset, bytes)),

  writeFile: (path, bytes) => named('writeFile', path, () => writeAtomically(path, [bytes])),

  appendFile: (path, text) => named('appendFile', path, () => appendFile(path, text)),

  list: (directory) =>
    named('list', directory, async () => {
      const names = (await readdir(directory)).sort();
      const entries = await Promise.all(names.map((name) => entry(directory, name)));
      return entries.filter((each) => each !== null);
    }),

  exists: (path) =>
    named('exists', path, () =>
      stat(path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
          throw error;
        },
      ),
    ),

  makeDirectory: (path) => named('makeDirectory', path, async () => void (await mkdir(path, { recursive: true }))),

  remove: (path) => named('remove', path, () => rm(path, { recursive: true, force: true })),

  join: (...parts) => join(...parts),
};
