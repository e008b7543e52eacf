// Bundles a bench entry and runs it: `node bench/run.mjs [peers] [options]`. WGSL needs the bundler; packages stay where npm put them.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { esbuildWgsl } from '../wgsl-plugin.mjs';

const folder = dirname(fileURLToPath(import.meta.url));
const [first, ...rest] = process.argv.slice(2);
const isPeers = first === 'peers';
const entryPoints = isPeers ? ['peers/main.ts', 'peers/peer-process.ts'] : ['main.ts'];
const outdir = join(folder, isPeers ? 'peers/dist' : 'dist');

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
// --expose-gc: a bench frees between its cases what the last one left.
const { status, signal } = spawnSync(process.execPath, ['--expose-gc', join(outdir, 'main.mjs'), ...(isPeers ? rest : process.argv.slice(2))], { stdio: 'inherit' });
if (signal) console.error(`bench: ended by ${signal}`);
process.exitCode = status ?? 1;
