/** A scan that the user gave, read whole: its bytes, which the model's reader takes, and its volume, which is shown. */
import { zipSync } from 'fflate';
import { isScanName, looksLikeChest, readScan, voxelCount, writeNifti } from '../src/data/index.ts';
import type { CtVolume } from '../src/data/index.ts';
import { scanBytes } from '../src/platform/browser-decode-job.ts';
import type { GivenFile, OpenedScan, ScanSource } from './protocol.ts';

export interface Scan {
  name: string;
  bytes: Uint8Array;
  volume: CtVolume;
}

/** A browser gives a tab a few GiB: a scan is held as file, as 32-bit voxels and for the viewer. */
const mostBytes = 2 ** 30;

/** @throws with the scan's name and what to do, where it is too large, cannot be read or is no CT volume. */
export async function openGivenScan(source: ScanSource): Promise<{ next: Scan; view: OpenedScan }> {
  const { name, bytes, passedOver = [] } = source.kind === 'phantom' ? await phantom(source.seed) : await given(source.files);
  const volume = await readScan(bytes, name);
  const nifti = writeNifti({ hu: volume.hu, shape: volume.shape, spacingMm: volume.spacingMm });
  return {
    next: { name, bytes, volume },
    view: {
      name, shape: volume.shape, spacingMm: volume.spacingMm, warnings: [...passedOver, ...volume.warnings, ...looksLikeChest(volume)],
      fileBytes: bytes.length, rawBytes: 2 * voxelCount(volume.shape), nifti,
    },
  };
}

async function phantom(seed: number): Promise<Given> {
  const name = `drawn chest ${seed + 1}`;
  return { name, bytes: await scanBytes({ kind: 'phantom', seed, volume: { index: 0, scan: 0, reconstruction: 0 }, options: {} }, name) };
}

interface Given {
  name: string;
  bytes: Uint8Array;
  /** A word about what else was given. */
  passedOver?: string[];
}

async function given(files: readonly GivenFile[]): Promise<Given> {
  if (files.length === 0) throw new Error('No file was given; choose a scan (.nii.gz, .nii or a JPEG volume .zip).');
  const scans = files.filter(({ path }) => isScanName(path));
  const [first] = files.length === 1 ? files : scans;
  if (!first) return series(files);
  refuseHuge(first.path, first.file.size);
  const passedOver = scans.length > 1 ? [`${scans.length} scans were given; this is the first of them`] : [];
  return { name: first.path, bytes: await scanBytes({ kind: 'file', file: first.file }, first.path), passedOver };
}

/** The slices of a series lie in a folder: they go to the reader as one archive, as a series sent as a ZIP would. */
async function series(files: readonly GivenFile[]): Promise<Given> {
  const name = files[0]!.path.split('/')[0]!;
  refuseHuge(name, files.reduce((sum, { file }) => sum + file.size, 0));
  const entries = await Promise.all(files.map(async ({ path, file }) => [path, await scanBytes({ kind: 'file', file }, path)] as const));
  return { name, bytes: zipSync(Object.fromEntries(entries), { level: 0 }) };
}

function refuseHuge(name: string, bytes: number): void {
  if (bytes > mostBytes) throw new Error(`${name}: ${(bytes / 2 ** 30).toFixed(1)} GiB are too large for a browser tab, ${mostBytes / 2 ** 30} GiB at most; make a JPEG volume of it with ct-lite prepare, or reduce its resolution`);
}
