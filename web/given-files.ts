/** Files that a user drops or chooses, with their paths. */
import type { GivenFile } from './protocol.ts';

/** Hidden files, which macOS and Windows leave in every folder, are no part of what was meant. */
const isMeant = (path: string): boolean => !path.split('/').some((part) => part.startsWith('.') || /^(thumbs\.db|desktop\.ini|__MACOSX)$/i.test(part));

export function chosenFiles(input: HTMLInputElement): GivenFile[] {
  return [...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file })).filter(({ path }) => isMeant(path));
}

/** Files and whole folders of a drop. To be called before anything is awaited: the browser then takes the items back. */
export async function droppedFiles(transfer: DataTransfer): Promise<GivenFile[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const plain = [...transfer.files];
  if (entries.length === 0) return plain.map((file) => ({ path: file.name, file }));
  const found: GivenFile[] = [];
  for (const entry of entries) await walk(entry, found);
  return found.filter(({ path }) => isMeant(path));
}

async function walk(entry: FileSystemEntry, found: GivenFile[]): Promise<void> {
  const path = entry.fullPath.replace(/^\//, '');
  if (entry.isFile) {
    found.push({ path, file: await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)) });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader gives a hundred entries at a time, and none at the end.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return;
    for (const each of batch) await walk(each, found);
  }
}

/** Lets files be dropped anywhere on the page while `target` is shown. */
export function acceptDrops(target: HTMLElement, onFiles: (files: GivenFile[]) => void, onError: (error: unknown) => void): void {
  let depth = 0;
  const isFor = (event: DragEvent): boolean => !target.hidden && (event.dataTransfer?.types.includes('Files') ?? false);
  const mark = (): void => void document.body.classList.toggle('dragging', depth > 0);
  addEventListener('dragenter', (event) => {
    if (!isFor(event)) return;
    depth++;
    mark();
  });
  addEventListener('dragleave', (event) => {
    if (!isFor(event)) return;
    depth = Math.max(0, depth - 1);
    mark();
  });
  addEventListener('dragover', (event) => {
    if (isFor(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!isFor(event)) return;
    event.preventDefault();
    depth = 0;
    mark();
    droppedFiles(event.dataTransfer!).then(onFiles, onError);
  });
}
