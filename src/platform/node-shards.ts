/** Shards by a pattern: shells of Windows and quoted patterns leave `*` to the program. */
import { isAbsolute } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { nodeFiles } from './node-files.ts';

/**
 * Paths of a pattern such as `prepared/shard-*.tar` or `prepared/shard-{000000..000015}.tar`, sorted.
 * @returns null where the path is no pattern or names something that is there
 * @throws where nothing fits
 */
export async function expandShards(pattern: string): Promise<string[] | null> {
  if (await nodeFiles.exists(pattern)) return null;
  const forward = process.platform === 'win32' ? pattern.replaceAll('\\', '/') : pattern;
  if (!isDynamicPattern(forward)) return null;
  const found = (await glob(forward, { absolute: isAbsolute(pattern), expandDirectories: false })).sort();
  if (found.length === 0) throw new Error(`${pattern}: no file fits the pattern; give a folder, or a pattern of .tar shards`);
  const other = found.find((path) => !path.toLowerCase().endsWith('.tar'));
  if (other) throw new Error(`${pattern}: a pattern must fit shards (.tar) only, it fits ${other}; give the folder for scans that are no shards`);
  return found;
}
