/** Where DICOM files come from: the entries of a ZIP, or the files below a folder. */
import type { FileSystem } from '../file-system.ts';
import { openZip } from '../zip-archive.ts';
import type { ZipEntry } from '../zip-archive.ts';
import type { DicomSource } from './read-dicom.ts';

const MAX_FILES = 20_000;
const MAX_FILE_BYTES = 2 ** 30;
/** PATIENT/STUDY/SERIES and a few folders around. */
const MAX_DEPTH = 10;
const DICOM_ENDINGS = /\.(dcm|dicom|dic|ima)$/i;
/** PACS exports have names such as IM000001, I10 or 1.2.840.113…: no ending, or one that is a number. */
const BARE_NAME = /^[^.]*$|\.\d+$/;
const LIMITS = { entries: MAX_FILES, entryBytes: MAX_FILE_BYTES };

/** Whether a file of this name may be a DICOM one; its content decides. */
export function mayBeDicom(name: string): boolean {
  return DICOM_ENDINGS.test(name) || BARE_NAME.test(name);
}

export const isDicomName = (name: string): boolean => DICOM_ENDINGS.test(name);

/** Files that the system leaves beside others. */
const isClutter = (name: string): boolean => name.split('/').some((part) => part.startsWith('.') || part === '__MACOSX' || part === 'Thumbs.db');

/** @throws `where: …` where the bytes are no ZIP. Its entries are read, and their damage found, one by one. */
export function zipEntries(zip: Uint8Array, where: string): ZipEntry[] {
  return openZip(zip, where, LIMITS).filter(({ name }) => !isClutter(name));
}

export function dicomZipSources(zip: Uint8Array, where: string): DicomSource[] {
  return zipEntries(zip, where).map((entry) => ({ name: entry.name.slice(-120), read: () => entry.read() }));
}

/**
 * The files below a folder that may be DICOM, in path order.
 * @throws `readDicom: …` where there are none, or more than 20,000.
 */
export async function dicomFolderSources(fs: FileSystem, folder: string): Promise<DicomSource[]> {
  const sources: DicomSource[] = [];
  await walk(fs, folder, '', 0, sources);
  if (sources.length === 0) throw new Error(`readDicom: ${folder}: no DICOM file is found below the folder; give the folder of a CT series`);
  return sources;
}

async function walk(fs: FileSystem, folder: string, prefix: string, depth: number, sources: DicomSource[]): Promise<void> {
  if (depth > MAX_DEPTH) return;
  const entries = (await fs.list(folder)).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, kind, bytes } of entries) {
    if (isClutter(name)) continue;
    const path = fs.join(folder, name);
    if (kind === 'directory') await walk(fs, path, `${prefix}${name}/`, depth + 1, sources);
    else if (mayBeDicom(name) && bytes <= MAX_FILE_BYTES) {
      if (sources.length === MAX_FILES) throw new Error(`readDicom: ${folder}: at most ${MAX_FILES} files are read; give the folder of one study`);
      sources.push({ name: `${prefix}${name}`, read: () => fs.readFile(path) });
    }
  }
}
