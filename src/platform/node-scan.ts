/** A scan by its path: a file's bytes, or the DICOM files below a folder. */
import { stat } from 'node:fs/promises';
import { dicomFolderSources } from '../data/index.ts';
import type { ScanContent } from '../data/index.ts';
import { nodeFiles } from './node-files.ts';

/** @throws naming the path where it is missing or unreadable, or a folder without DICOM files. */
export async function openNodeScan(path: string): Promise<ScanContent> {
  const isFolder = await stat(path).then((found) => found.isDirectory(), () => false);
  return isFolder ? dicomFolderSources(nodeFiles, path) : nodeFiles.readFile(path);
}

/** Bytes of a scan's file, or of all files below its folder. */
export async function scanBytes(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  let sum = 0;
  for (const { name, kind, bytes } of await nodeFiles.list(path)) sum += kind === 'directory' ? await scanBytes(nodeFiles.join(path, name)) : bytes;
  return sum;
}
