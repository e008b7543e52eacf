/** One decoding job, run in a worker thread or, where there is none, in this one. */
import { basename } from 'node:path';
import { decodeScan } from '../data/index.ts';
import type { DecodedScan, DecodeScanOptions, InputGrid, ScanContent } from '../data/index.ts';
import { nodeFiles } from './node-files.ts';
import { openNodeScan } from './node-scan.ts';

export interface DecodeJob extends DecodeScanOptions {
  /** A scan's file, or a folder with a DICOM series. */
  path: string;
  grid: InputGrid;
  /** Where the scan lies in the file, for one in an archive. */
  part?: { offset: number; bytes: number };
  /** What errors call the scan; the file's name where not given. */
  name?: string;
}

export interface DecodeRequest {
  id: number;
  job: DecodeJob;
}

export type DecodeReply = { id: number; scan: DecodedScan } | { id: number; error: string };

export const jobName = (job: DecodeJob): string => job.name ?? basename(job.path);

/** @throws with the scan's name, whether reading or decoding fails. */
export async function decodeFile({ path, part, grid, name = basename(path), ...options }: DecodeJob): Promise<DecodedScan> {
  let scan: ScanContent;
  try {
    scan = part ? await nodeFiles.readPart!(path, part.offset, part.bytes) : await openNodeScan(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(`decodeScan: ${name}: the scan cannot be read (${code ?? message})`, { cause });
  }
  return decodeScan(scan, name, grid, options);
}
