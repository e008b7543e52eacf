// Bundles a bench entry and runs it: `node bench/run.mjs [peers|table] [options]`. WGSL needs the bundler; packages stay where npm put them.
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { esbuildWgsl } from '../wgsl-plugin.mjs';

const folder = dirname(fileURLToPath(import.meta.url));
const [first, ...rest] = process.argv.slice(2);
const entries = {
  peers: { entryPoints: ['peers/main.ts', 'peers/peer-process.ts'], dist: 'peers/dist', main: 'main.mjs', options: rest },
  table: { entryPoints: ['table.ts'], dist: 'dist/table', main: 'table.mjs', options: rest },
};
const { entryPoints, dist, main, options } = entries[first] ?? { entryPoints: ['main.ts', 'case-process.ts'], dist: 'dist', main: 'main.mjs', options: process.argv.slice(2) };
const outdir = join(folder, dist);

await build({
  absWorkingDir: folder,
  entryPoints,
  outdir,
  entryNames: '[name]',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  platform: 'node',
  packages: 'external',
  plugins: [esbuildWgsl],
  logLevel: 'warning',
});
// In this process: a signal that ends it ends the bench.
process.argv = [process.argv[0], join(outdir, main), ...options];
await import(pathToFileURL(join(outdir, main)).href);
