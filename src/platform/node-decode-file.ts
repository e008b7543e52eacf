/** One decoding job, run in a worker thread or, where there is none, in this one. */
import { basename } from 'node:path';
import { decodeScan, jpegRoundTrip } from '../data/index.ts';
import type { DecodedScan, DecodeScanOptions, InputGrid, ScanContent, Size3 } from '../data/index.ts';
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

/** JPEG and back of a volume that is decoded already: grey levels. */
export interface CompressJob {
  name: string;
  /** [D, Y, X] in [-1, 1]. */
  values: Float32Array;
  shape: Size3;
  quality: number;
}

export type PoolJob = DecodeJob | CompressJob;
export type PoolResult<Job extends PoolJob> = Job extends DecodeJob ? DecodedScan : Uint8Array<ArrayBuffer>;

export interface DecodeRequest {
  id: number;
  job: PoolJob;
}

export type DecodeReply = { id: number; result: DecodedScan | Uint8Array<ArrayBuffer> } | { id: number; error: string };

export const isDecodeJob = (job: PoolJob): job is DecodeJob => 'path' in job;

export const jobName = (job: PoolJob): string => job.name ?? basename((job as DecodeJob).path);

export function runPoolJob<Job extends PoolJob>(job: Job): Promise<PoolResult<Job>> {
  const result: Promise<DecodedScan | Uint8Array<ArrayBuffer>> = isDecodeJob(job) ? decodeFile(job) : jpegRoundTrip(job.values, job.shape, job.quality);
  return result as Promise<PoolResult<Job>>;
}

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
