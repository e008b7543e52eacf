/** One decoding job, run in a worker thread or, where there is none, in this one. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { decodeScan } from '../data/index.ts';
import type { DecodedScan, DecodeScanOptions, InputGrid } from '../data/index.ts';
import { nodeFiles } from './node-files.ts';

export interface DecodeJob extends DecodeScanOptions {
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
export async function decodeFile(job: DecodeJob): Promise<DecodedScan> {
  let bytes: Uint8Array;
  try {
    bytes = job.part ? await nodeFiles.readPart!(job.path, job.part.offset, job.part.bytes) : await readFile(job.path);
  } catch (cause) {
    throw new Error(`decodeScan: ${jobName(job)}: the file cannot be read (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message})`, { cause });
  }
  const { antialias, quality, metadata } = job;
  return decodeScan(bytes, jobName(job), job.grid, { ...(antialias !== undefined && { antialias }), ...(quality !== undefined && { quality }), ...(metadata && { metadata }) });
}
