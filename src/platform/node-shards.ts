/** Shards by a pattern: shells of Windows and quoted patterns leave `*` to the program. */
import { isAbsolute } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { nodeFiles } from './node-files.ts';

const MAX_RANGE = 1_000_000;

/**
 * Paths of a pattern such as `prepared/shard-*.tar` or `prepared/shard-{000000..000015}.tar`, sorted. Of a range every number must be
 * there: a shard that failed is not passed over.
 * @returns null where the path is no pattern or names something that is there
 * @throws where nothing fits, or something of a range is missing
 */
export async function expandShards(pattern: string): Promise<string[] | null> {
  if (await nodeFiles.exists(pattern)) return null;
  const forward = process.platform === 'win32' ? pattern.replaceAll('\\', '/') : pattern;
  if (!isDynamicPattern(forward)) return null;
  const found = (await Promise.all(expandRange(forward).map(filesOf))).flat().sort();
  if (found.length === 0) throw new Error(`${pattern}: no file fits the pattern; give a folder, or a pattern of .tar shards`);
  const other = found.find((path) => !path.toLowerCase().endsWith('.tar'));
  if (other) throw new Error(`${pattern}: a pattern must fit shards (.tar) only, it fits ${other}; give the folder for scans that are no shards`);
  return found;
}

async function filesOf(pattern: string): Promise<string[]> {
  if (isDynamicPattern(pattern)) return glob(pattern, { absolute: isAbsolute(pattern), expandDirectories: false });
  if (!(await nodeFiles.exists(pattern))) throw new Error(`${pattern}: is missing, the range names it; make the shard, or name those that are there`);
  return [pattern];
}

/** `{000000..000015}`, numbers of one width, as WebDataset's patterns have it; without one the pattern itself. */
function expandRange(pattern: string): string[] {
  const match = /\{(\d+)\.\.(\d+)\}/.exec(pattern);
  if (!match) return [pattern];
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (last < first || last - first >= MAX_RANGE) throw new Error(`${pattern}: a range must rise and have at most ${MAX_RANGE} numbers, got ${match[0]}`);
  const numbers = Array.from({ length: last - first + 1 }, (_, n) => String(first + n).padStart(match[1]!.length, '0'));
  return numbers.map((number) => `${pattern.slice(0, match.index)}${number}${pattern.slice(match.index + match[0].length)}`);
}
