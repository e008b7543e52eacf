/** A scan that the user gave: its content, which the model's reader takes, and its volume, which is shown. */
import { isScanName, isShardName, looksLikeChest, readScan, voxelCount, writeNifti } from '../src/data/index.ts';
import type { CtVolume, ScanContent } from '../src/data/index.ts';
import { openScanSource, type ScanSource } from '../src/platform/browser-decode-job.ts';
import type { GivenFile, GivenScan, OpenedScan } from './protocol.ts';

export interface Scan {
  name: string;
  content: ScanContent;
  volume: CtVolume;
}

/** A browser gives a tab a few GiB: a scan is held as file, as 32-bit voxels and for the viewer. */
const mostBytes = 2 ** 30;

/** @throws with the scan's name and what to do, where it is too large, cannot be read or is no CT volume. */
export async function openGivenScan(given: GivenScan): Promise<{ next: Scan; view: OpenedScan }> {
  const { name, source, passedOver = [] } = given.kind === 'phantom' ? phantom(given.seed) : choose(given.files);
  const { content, bytes } = await openScanSource(source, name);
  const volume = await readScan(content, name);
  const nifti = writeNifti({ hu: volume.hu, shape: volume.shape, spacingMm: volume.spacingMm });
  return {
    next: { name, content, volume },
    view: {
      name, shape: volume.shape, spacingMm: volume.spacingMm, warnings: [...passedOver, ...volume.warnings, ...looksLikeChest(volume)],
      fileBytes: bytes, rawBytes: 2 * voxelCount(volume.shape), nifti,
    },
  };
}

interface Chosen {
  name: string;
  source: ScanSource;
  /** A word about what else was given. */
  passedOver?: string[];
}

function phantom(seed: number): Chosen {
  return { name: `drawn chest ${seed + 1}`, source: { kind: 'phantom', seed, volume: { index: 0, scan: 0, reconstruction: 0 }, options: {} } };
}

/** One scan of what was given: a file, the first of several, or the DICOM series of a folder. */
function choose(files: readonly GivenFile[]): Chosen {
  if (files.length === 0) throw new Error('No file was given; choose a scan (.nii.gz, .nii, a DICOM series or a JPEG volume .zip).');
  const scans = files.filter(({ path }) => isScanName(path));
  const [first] = files.length === 1 ? files : scans;
  const shard = files.find(({ path }) => isShardName(path));
  if (shard && scans.length === 0) throw new Error(`${shard.path}: a shard holds many scans of a prepared cohort; train on it under "Fine-tune", or open one of its volumes (.zip) here`);
  if (!first) {
    const name = files[0]!.path.split('/')[0]!;
    refuseHuge(name, files.reduce((sum, { file }) => sum + file.size, 0));
    return { name, source: { kind: 'folder', files: [...files] } };
  }
  refuseHuge(first.path, first.file.size);
  const passedOver = scans.length > 1 ? [`${scans.length} scans were given; this is the first of them`] : [];
  return { name: first.path, source: { kind: 'file', file: first.file }, passedOver };
}

function refuseHuge(name: string, bytes: number): void {
  if (bytes > mostBytes) throw new Error(`${name}: ${(bytes / 2 ** 30).toFixed(1)} GiB are too large for a browser tab, ${mostBytes / 2 ** 30} GiB at most; make a JPEG volume of it with ct-lite prepare, or reduce its resolution`);
}
