/** `ct-lite experiment-page`: RESULTS.md and its plots from the JSON of experiments. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import { nodeFiles } from '../platform/node-files.ts';
import { PAGE_FILE, pageFiles } from '../train/index.ts';
import { print } from './terminal.ts';

export function experimentPageCommand(): Command {
  return new Command('experiment-page')
    .description('write RESULTS.md and its plots from the results.json of experiments (and of experiment-scans)')
    .argument('<json...>', 'results.json of ct-lite experiment, patch-fast.json of ct-lite experiment-scans')
    .requiredOption('--out <folder>', 'where RESULTS.md and the folder results/ go, for example docs')
    .action(writePage);
}

async function writePage(paths: string[], { out }: { out: string }): Promise<void> {
  const sources = await Promise.all(paths.map(async (path) => ({ name: basename(path), json: await readFile(path, 'utf8') })));
  const files = pageFiles(sources);
  for (const [path, text] of files) {
    const file = join(out, ...path.split('/'));
    await nodeFiles.makeDirectory(dirname(file));
    await nodeFiles.writeFile(file, new TextEncoder().encode(text));
  }
  print(`${files.size - 1} plots and ${join(out, PAGE_FILE)}`);
}
