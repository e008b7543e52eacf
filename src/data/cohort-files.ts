/** Finding the scans and the tables of a cohort below a folder, and reading names. */
import type { FileSystem } from './file-system.ts';

const SCAN_ENDINGS = ['.nii.gz', '.nii', '.zip', '.npz'] as const;
/** Deep enough for CT-RATE (dataset/train/train_1/train_1_a/…) inside a folder or two of one's own. */
const MAX_DEPTH = 10;

export interface CohortFile {
  path: string;
  name: string;
}

export interface CohortFiles {
  scans: CohortFile[];
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

/** Every scan and CSV below the folder in path order; hidden files (macOS leaves `._name` beside each) are passed over. */
export async function findCohortFiles(fs: FileSystem, root: string): Promise<CohortFiles> {
  const found: CohortFiles = { scans: [], tables: [], shards: [] };
  await walk(fs, root, 0, found);
  const byPath = (a: CohortFile, b: CohortFile): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  found.scans.sort(byPath);
  found.tables.sort(byPath);
  found.shards.sort();
  return found;
}

async function walk(fs: FileSystem, directory: string, depth: number, found: CohortFiles): Promise<void> {
  if (depth > MAX_DEPTH) return;
  for (const entry of await fs.list(directory)) {
    if (entry.name.startsWith('.')) continue;
    const path = fs.join(directory, entry.name);
    if (entry.kind === 'directory') await walk(fs, path, depth + 1, found);
    else if (isScanName(entry.name)) found.scans.push({ path, name: entry.name });
    else if (entry.name.toLowerCase().endsWith('.tar')) found.shards.push(path);
    else if (entry.name.toLowerCase().endsWith('.csv')) found.tables.push({ path, name: entry.name });
  }
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
