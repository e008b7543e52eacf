/** Finding the scans and the tables of a cohort below a folder, and reading names. */
import { isDicom, isDicomName, mayBeDicom } from './dicom/index.ts';
import type { FileEntry, FileSystem } from './file-system.ts';

const SCAN_ENDINGS = ['.nii.gz', '.nii', '.zip', '.npz'] as const;
/** Deep enough for CT-RATE (dataset/train/train_1/train_1_a/…) inside a folder or two of one's own. */
const MAX_DEPTH = 10;

export interface CohortFile {
  path: string;
  name: string;
}

/** A scan's file, or a folder that DICOM files lie in. */
export interface CohortScanFile extends CohortFile {
  /** For a DICOM folder: itself and the folders above it below the cohort's, the deepest first: any of them may name the scan. */
  folders?: CohortFile[];
}

export interface CohortFiles {
  scans: CohortScanFile[];
  tables: CohortFile[];
  /** Paths of tar archives. */
  shards: string[];
}

/** File name without folder and without the ending of a scan or table: what scans and CSV rows are matched by. */
export function scanId(nameOrPath: string): string {
  const name = nameOrPath.trim().split(/[\\/]/).pop() ?? '';
  const lower = name.toLowerCase();
  const ending = [...SCAN_ENDINGS, '.jpg.zip', '.csv'].find((candidate) => lower.endsWith(candidate));
  return ending ? name.slice(0, -ending.length) : name;
}

export function isScanName(name: string): boolean {
  const lower = name.toLowerCase();
  return SCAN_ENDINGS.some((ending) => lower.endsWith(ending));
}

/** Every scan, DICOM folder and CSV below the folder in path order; hidden files (macOS leaves `._name` beside each) are passed over. */
export async function findCohortFiles(fs: FileSystem, root: string): Promise<CohortFiles> {
  const found: CohortFiles = { scans: [], tables: [], shards: [] };
  await walk(fs, root, [], found);
  const byPath = (a: CohortFile, b: CohortFile): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  found.scans.sort(byPath);
  found.tables.sort(byPath);
  found.shards.sort();
  return found;
}

/** A file without an ending is looked into where it is no larger than this: a slice is half a megabyte. */
const MAX_LOOK_BYTES = 2 ** 26;

async function walk(fs: FileSystem, directory: string, folders: CohortFile[], found: CohortFiles): Promise<void> {
  if (folders.length > MAX_DEPTH) return;
  const entries = (await fs.list(directory)).filter(({ name }) => !name.startsWith('.'));
  for (const { name, kind } of entries) {
    const path = fs.join(directory, name);
    if (kind === 'directory') await walk(fs, path, [{ path, name }, ...folders], found);
    else if (isScanName(name)) found.scans.push({ path, name });
    else if (name.toLowerCase().endsWith('.tar')) found.shards.push(path);
    else if (name.toLowerCase().endsWith('.csv')) found.tables.push({ path, name });
  }
  if (!(await holdsDicom(fs, directory, entries))) return;
  const own = folders[0] ?? { path: directory, name: directory.split(/[\\/]/).filter(Boolean).pop() ?? directory };
  found.scans.push({ ...own, folders });
}

/** By the names of its files; where they have no ending, by the first of them. */
async function holdsDicom(fs: FileSystem, directory: string, entries: readonly FileEntry[]): Promise<boolean> {
  const files = entries.filter(({ kind, name }) => kind === 'file' && mayBeDicom(name));
  if (files.some(({ name }) => isDicomName(name))) return true;
  const bare = files.find(({ bytes }) => bytes <= MAX_LOOK_BYTES);
  return bare !== undefined && isDicom(await fs.readFile(fs.join(directory, bare.name)));
}

export interface CtRateName {
  side: 'train' | 'valid';
  patientId: string;
  /** Patient and scan; the reconstructions of one scan (…_1, …_2) share it, as they share the report. */
  scanId: string;
}

/** CT-RATE's names: train_1_a_1 is reconstruction 1 of scan a of patient train_1. Null for any other name. */
export function parseCtRateName(id: string): CtRateName | null {
  const match = /^((train|valid)_\d+)_([a-z]+)_\d+$/.exec(id);
  return match ? { side: match[2] as CtRateName['side'], patientId: match[1]!, scanId: `${match[1]}_${match[3]}` } : null;
}
