/** Where the files of a run lie when it goes on: config.json keeps paths as they were typed, in the folder of that time. */
import { existsSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import type { RunConfig } from './run-folder.ts';

/**
 * A run's configuration with paths as they are seen from here. A relative path is looked for where the run was started, then in
 * the current folder, for runs that moved with their data. What a run makes anew (phantoms, targets, cached texts) goes to the first.
 * @throws naming the run where its scans are in neither place
 */
export function locatePaths(config: RunConfig, run: string): RunConfig {
  const locate = (path: string): string => locatePath(path, config.startedIn);
  const { source, textTower, teacher } = config;
  const located: RunConfig = {
    ...config,
    source: Object.fromEntries(Object.entries(source).map(([name, path]) => [name, locate(path as string)])) as unknown as RunConfig['source'],
    ...(config.init && { init: locate(config.init) }),
    ...(config.vocab && { vocab: locate(config.vocab) }),
    ...(config.textCache && { textCache: locate(config.textCache) }),
    ...(textTower && { textTower: { ...textTower, folder: locate(textTower.folder) } }),
    ...(teacher && { teacher: { file: locate(teacher.file), targets: locate(teacher.targets) } }),
  };
  // A pattern of shards is no path: who reads it says what is missing.
  if (!config.phantom && !/[*?{[]/.test(source.data) && !existsSync(located.source.data)) {
    const where = config.startedIn && !isAbsolute(source.data) ? ` in ${config.startedIn}, where the run was started, or` : '';
    throw new Error(`train: ${run}: its scans ${source.data} are not${where} here; where they have moved, change "source" in ${join(run, 'config.json')}`);
  }
  return located;
}

function locatePath(path: string, startedIn: string | undefined): string {
  if (isAbsolute(path) || startedIn === undefined) return path;
  const there = relative(process.cwd(), join(startedIn, path)) || '.';
  if (existsSync(there) || (existsSync(startedIn) && !existsSync(path))) return there;
  return path;
}
