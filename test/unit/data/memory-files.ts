/** A FileSystem in memory: what the cohort readers see in tests. */
import { strToU8 } from 'fflate';
import type { FileEntry, FileSystem } from '../../../src/data/index.ts';

export function memoryFiles(files: Record<string, string | Uint8Array>): FileSystem {
  const held = new Map(Object.entries(files).map(([path, content]) => [path, typeof content === 'string' ? strToU8(content) : content]));
  const below = (directory: string): string[] => [...held.keys()].filter((path) => path.startsWith(`${directory}/`));
  return {
    async readFile(path) {
      const bytes = held.get(path);
      if (!bytes) throw new Error(`readFile: ${path} is missing`);
      return bytes;
    },
    async writeFile(path, bytes) {
      held.set(path, bytes);
    },
    async appendFile(path, text) {
      held.set(path, strToU8(new TextDecoder().decode(held.get(path)) + text));
    },
    async list(directory) {
      const entries = new Map<string, FileEntry>();
      for (const path of below(directory)) {
        const [name, ...rest] = path.slice(directory.length + 1).split('/');
        entries.set(name!, rest.length > 0 ? { name: name!, kind: 'directory', bytes: 0 } : { name: name!, kind: 'file', bytes: held.get(path)!.length });
      }
      // A real directory gives no order.
      return [...entries.values()].reverse();
    },
    exists: async (path) => held.has(path) || below(path).length > 0,
    makeDirectory: async () => undefined,
    async remove(path) {
      held.delete(path);
      for (const inside of below(path)) held.delete(inside);
    },
    join: (...parts) => parts.join('/'),
  };
}
