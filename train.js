#!/usr/bin/env node
// Starts the built command line's `train`; builds it first where it is missing or older than its sources.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const commandLine = join(root, 'dist', 'cli.js');
const sources = ['src', 'kernels', 'esbuild.mjs', 'wgsl-plugin.mjs'].map((name) => join(root, name));

function newest(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

// An installed package has no sources: what it came with is what there is.
function needsBuild() {
  if (!sources.every((path) => existsSync(path))) return false;
  return !existsSync(commandLine) || statSync(commandLine).mtimeMs < Math.max(...sources.map(newest));
}

async function start() {
  if (!existsSync(join(root, 'node_modules')) && existsSync(sources[0])) throw new Error('the packages are missing: run "npm ci" first');
  if (needsBuild()) {
    console.error(existsSync(commandLine) ? 'building dist/: the sources are newer' : 'building dist/');
    const { buildAll } = await import('./esbuild.mjs');
    await buildAll();
  }
  process.argv.splice(2, 0, 'train');
  await import(pathToFileURL(commandLine).href);
}

await start().catch((error) => {
  // esbuild has printed what it found wrong.
  console.error(`train.js: ${error.errors ? 'the build failed' : error.message}`);
  process.exitCode = 1;
});
