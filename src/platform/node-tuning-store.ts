/** Tuned kernel plans in the user's cache folder, a JSON file an adapter. */
import { join } from 'node:path';
import type { TuningStore } from '../engine/index.ts';
import { cacheFolder } from './cache-folder.ts';
import { nodeFiles } from './node-files.ts';

/** The store in `folder`, which is made when something is first written. Its errors name the file. */
export function nodeTuningStore(folder = cacheFolder()): TuningStore {
  const path = (name: string): string => join(folder, `${name}.json`);
  return {
    async read(name) {
      if (!(await nodeFiles.exists(path(name)))) return null;
      return new TextDecoder().decode(await nodeFiles.readFile(path(name)));
    },
    async write(name, text) {
      await nodeFiles.makeDirectory(folder);
      await nodeFiles.writeFile(path(name), new TextEncoder().encode(text));
    },
  };
}
