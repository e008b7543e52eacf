/**
 * For `node --import`: the folder SMALL_DISK becomes a disk of SMALL_DISK_BYTES bytes. A write that does not fit stores what fits
 * and fails with ENOSPC, as a full disk does; in worker threads too, since what is used is counted from the files themselves.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join, resolve, sep } from 'node:path';

const root = resolve(process.env.SMALL_DISK) + sep;
const capacity = Number(process.env.SMALL_DISK_BYTES);

function used(folder = root) {
  let bytes = 0;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    // Another thread may just have renamed it.
    bytes += entry.isDirectory() ? used(path) : (fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  }
  return bytes;
}

async function write(path, data, store) {
  const bytes = Buffer.from(data);
  const left = capacity - used();
  if (bytes.length <= left) return store(bytes);
  await store(bytes.subarray(0, Math.max(0, left)));
  throw Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), { code: 'ENOSPC', errno: -28, syscall: 'write' });
}

const here = (path) => resolve(String(path)).startsWith(root);
const { open, appendFile } = fs.promises;
fs.promises.open = async (path, flags, ...rest) => {
  const file = await open(path, flags, ...rest);
  if (here(path)) {
    const store = file.writeFile.bind(file);
    file.writeFile = (data) => write(path, data, store);
  }
  return file;
};
fs.promises.appendFile = (path, data, ...rest) => (here(path) ? write(path, data, (bytes) => appendFile(path, bytes)) : appendFile(path, data, ...rest));
syncBuiltinESMExports();
