import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

/** bench/results/<adapter>[.<what>].json, seen from the working folder of `npm run`. */
export function resultsFile(adapterName: string, what?: string): URL {
  const stem = adapterName.toLowerCase().replace(/\(.*$/, '').replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
  return new URL(`bench/results/${stem}${what ? `.${what}` : ''}.json`, pathToFileURL(`${process.cwd()}/`));
}

/**
 * Writes `about` and the entries under `list`, in a temporary file that is then renamed. Entries of an earlier file that were not measured
 * this time stay, and so does one that its successor may not replace. Gives the file's name.
 */
export async function mergeResults<Entry>(
  file: URL,
  about: object,
  list: string,
  entries: readonly Entry[],
  key: (entry: Entry) => string,
  replaces: (after: Entry, before: Entry) => boolean = () => true,
): Promise<string> {
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, Entry[] | undefined>;
  const measured = new Map(entries.map((entry) => [key(entry), entry]));
  const kept = (before[list] ?? []).map((entry) => {
    const after = measured.get(key(entry));
    return after && replaces(after, entry) ? after : entry;
  });
  const added = entries.filter((entry) => !kept.some((other) => key(other) === key(entry)));
  await mkdir(new URL('.', file), { recursive: true });
  const temporary = new URL(`${file.href}.tmp`);
  await writeFile(temporary, `${JSON.stringify({ ...about, [list]: [...kept, ...added] }, null, 1)}\n`);
  await rename(temporary, file);
  return `bench/results/${file.pathname.split('/').at(-1)}`;
}
