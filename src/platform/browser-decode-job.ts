/** One decoding job of a web worker: where the scan's bytes come from, and what becomes of them. */
import { decodeScan, dicomFolderSources } from '../data/index.ts';
import type { DecodedScan, DecodeScanOptions, InputGrid, ScanContent } from '../data/index.ts';
import { renderPhantomFile } from '../data/phantom/index.ts';
import type { PhantomOptions, PhantomVolumeKey } from '../data/phantom/index.ts';
import { listedFiles } from './browser-files.ts';

/** A scan's file or the files of its DICOM folder, which the worker reads itself, or a phantom, which it draws. All can be posted. */
export type ScanSource =
  | { kind: 'file'; file: Blob }
  | { kind: 'folder'; files: { path: string; file: Blob }[] }
  | { kind: 'phantom'; seed: number; volume: PhantomVolumeKey; options: PhantomOptions };

export interface BrowserDecodeJob extends DecodeScanOptions {
  /** What errors call the scan. */
  name: string;
  source: ScanSource;
  grid: InputGrid;
}

export interface BrowserDecodedScan extends DecodedScan {
  /** Size of the scan's file or files. */
  fileBytes: number;
}

export type BrowserDecodeReply = { scan: BrowserDecodedScan } | { error: string };

/** A scan as the readers of src/data take it, with its size. Throws naming it where it cannot be read or does not fit in memory. */
export async function openScanSource(source: ScanSource, name: string): Promise<{ content: ScanContent; bytes: number }> {
  if (source.kind === 'phantom') {
    const { bytes } = renderPhantomFile(source.seed, source.volume, source.options);
    return { content: bytes, bytes: bytes.length };
  }
  if (source.kind === 'folder') {
    const listed = source.files.map(({ path, file }) => [`${name}/${path}`, { bytes: file.size, read: () => blobBytes(file, path) }] as const);
    return { content: await dicomFolderSources(listedFiles(new Map(listed)), name), bytes: source.files.reduce((sum, { file }) => sum + file.size, 0) };
  }
  const content = await blobBytes(source.file, name);
  return { content, bytes: content.length };
}

async function blobBytes(file: Blob, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    throw new Error(`readFile: ${name}: the file of ${file.size} bytes cannot be read (${(cause as Error).message}); it is too large for this browser, or was changed or moved: choose it again`, { cause });
  }
}

export async function runDecodeJob({ name, source, grid, ...options }: BrowserDecodeJob): Promise<BrowserDecodedScan> {
  const { content, bytes } = await openScanSource(source, name);
  return { ...(await decodeScan(content, name, grid, options)), fileBytes: bytes };
}
