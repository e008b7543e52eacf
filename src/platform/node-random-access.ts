/** A file of which parts are read on demand, in Node. */
import { open } from 'node:fs/promises';
import { requireRange, type RandomAccess } from '../data/index.ts';
import { named } from './node-files.ts';

export interface OpenFile extends RandomAccess {
  close(): Promise<void>;
}

/** Opens a file for reading. Throws naming the path where it is missing or no file. */
export function openFile(path: string): Promise<OpenFile> {
  return named('openFile', path, async () => {
    const file = await open(path, 'r');
    try {
      const status = await file.stat();
      if (!status.isFile()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
      const byteLength = status.size;
      return {
        byteLength,
        read: (offset, length) =>
          named('read', path, async () => {
            requireRange(offset, length, byteLength);
            const bytes = new Uint8Array(length);
            for (let done = 0; done < length; ) {
              const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), offset + done);
              if (!bytesRead) throw new Error(`it ended at byte ${offset + done} of ${byteLength} while it was read; is something writing to it?`);
              done += bytesRead;
            }
            return bytes;
          }),
        close: () => file.close(),
      };
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}
