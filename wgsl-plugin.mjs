// Makes `import source from '../kernels/x.wgsl'` give the kernel's text, for esbuild and for vitest.
// A line `#include "include/reduce.wgsl"` is replaced by that file (path relative to kernels/), each file at most once.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const kernelsFolder = join(dirname(fileURLToPath(import.meta.url)), 'kernels');

/** Text of a WGSL file with its includes resolved. Throws naming the including file where an include is missing. */
export function loadWgsl(path, seen = new Set()) {
  return readFileSync(path, 'utf8').replace(/^#include "([^"]+)"\s*$/gm, (_, name) => {
    const included = join(kernelsFolder, name);
    if (seen.has(included)) return '';
    seen.add(included);
    try {
      return loadWgsl(included, seen);
    } catch (cause) {
      throw new Error(`${path}: cannot include "${name}": ${cause.message}`);
    }
  });
}

export const esbuildWgsl = {
  name: 'wgsl',
  setup(build) {
    build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({ contents: loadWgsl(path), loader: 'text' }));
  },
};

export const viteWgsl = {
  name: 'wgsl',
  enforce: 'pre',
  load(id) {
    const path = id.split('?')[0];
    return path.endsWith('.wgsl') ? `export default ${JSON.stringify(loadWgsl(path))};` : undefined;
  },
};
