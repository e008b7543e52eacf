/** A file of which parts are read on demand, in Node. */
import { open, stat } from 'node:fs/promises';
import { requireRange, type RandomAccess } from '../data/index.ts';
import { named } from './node-files.ts';

const mostAtOnce = 2 ** 30; // Node reads less than 2 GiB at once

/** Parts of a file. It is open only while a part is read, so there is nothing to close. Throws naming the path where it is missing or a folder. */
export function fileAccess(path: string): Promise<RandomAccess> {
  return named('read', path, async () => {
    const status = await stat(path);
    if (!status.isFile()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
    return { byteLength: status.size, read: (offset, length) => named('read', path, () => readPart(path, status.size, offset, length)) };
  });
}

async function readPart(path: string, byteLength: number, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  requireRange(offset, length, byteLength);
  const bytes = new Uint8Array(length);
  const file = await open(path, 'r');
  try {
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(bytes, done, Math.min(length - done, mostAtOnce), offset + done);
      if (!bytesRead) throw new Error(`it ended at byte ${offset + done} of ${byteLength} while it was read; is something writing to it?`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
