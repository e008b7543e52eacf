/** One decoding job of a web worker: where the scan's bytes come from, and what becomes of them. */
import { decodeScan } from '../data/index.ts';
import type { DecodedScan, DecodeScanOptions, InputGrid } from '../data/index.ts';
import { renderPhantomFile } from '../data/phantom/index.ts';
import type { PhantomOptions, PhantomVolumeKey } from '../data/phantom/index.ts';

/** A file of the user's, which the worker reads itself, or a phantom, which it draws. Both can be posted to a worker. */
export type ScanBytesSource = { kind: 'file'; file: Blob } | { kind: 'phantom'; seed: number; volume: PhantomVolumeKey; options: PhantomOptions };

export interface BrowserDecodeJob extends DecodeScanOptions {
  /** What errors call the scan. */
  name: string;
  source: ScanBytesSource;
  grid: InputGrid;
}

export interface BrowserDecodedScan extends DecodedScan {
  /** Size of the scan's file. */
  fileBytes: number;
}

export type BrowserDecodeReply = { scan: BrowserDecodedScan } | { error: string };

/** The bytes of a scan's file. Throws naming the scan where it cannot be read or does not fit in memory. */
export async function scanBytes(source: ScanBytesSource, name: string): Promise<Uint8Array> {
  if (source.kind === 'phantom') return renderPhantomFile(source.seed, source.volume, source.options).bytes;
  try {
    return new Uint8Array(await source.file.arrayBuffer());
  } catch (cause) {
    throw new Error(`readFile: ${name}: the file of ${source.file.size} bytes cannot be read (${(cause as Error).message}); it is too large for this browser, or was changed or moved: choose it again`, { cause });
  }
}

export async function runDecodeJob({ name, source, grid, antialias, quality }: BrowserDecodeJob): Promise<BrowserDecodedScan> {
  const bytes = await scanBytes(source, name);
  const scan = await decodeScan(bytes, name, grid, { ...(antialias !== undefined && { antialias }), ...(quality !== undefined && { quality }) });
  return { ...scan, fileBytes: bytes.length };
}
