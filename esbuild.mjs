// Bundles src/ into dist/: the Node entry, the command line, its worker threads, and the browser entry; and web/ into dist/web/,
// a folder that any static host can serve.
// `node esbuild.mjs` builds the bundles; `--types` adds the declarations (slower: it runs the type checker).
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { esbuildWgsl } from './wgsl-plugin.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const shared = { absWorkingDir: root, bundle: true, format: 'esm', target: 'es2022', sourcemap: true, plugins: [esbuildWgsl], logLevel: 'warning' };

/** The page, dist/web/. */
const webBuild = {
  ...shared,
  platform: 'browser',
  entryPoints: {
    main: 'web/main.ts',
    'scan-worker': 'web/scan-worker.ts',
    'training-worker': 'web/training-worker.ts',
    'bench-worker': 'web/bench-worker.ts',
    'decode-worker': 'src/platform/browser-decode-worker.ts',
  },
  // The viewer, which is large, is loaded with the first scan; the workers share what they have in common. All in one folder:
  // a bundle looks for its neighbours beside itself.
  splitting: true,
  minify: true,
  // Emscripten's scripts ask for them in branches that only Node takes.
  alias: { fs: './web/nothing.ts', path: './web/nothing.ts' },
  outdir: 'dist/web',
};

/** One build for each place that the code runs in. Tests walk their metafiles. */
export const builds = [
  {
    ...shared,
    platform: 'node',
    // Packages stay where npm put them: they find their own WebAssembly and native files there.
    packages: 'external',
    entryPoints: {
      index: 'src/index.ts',
      cli: 'src/cli/main.ts',
      'decode-worker': 'src/platform/node-decode-worker.ts',
      'phantom-worker': 'src/platform/node-phantom-worker.ts',
    },
    outdir: 'dist',
  },
  { ...shared, platform: 'browser', entryPoints: { browser: 'src/browser.ts' }, outdir: 'dist' },
  webBuild,
];

/** What the page needs beside its bundles, as it lies in the packages. */
const webFiles = {
  'index.html': 'web/index.html',
  'style.css': 'web/style.css',
  'uPlot.min.css': 'node_modules/uplot/dist/uPlot.min.css',
  'uPlot.iife.min.js': 'node_modules/uplot/dist/uPlot.iife.min.js',
  'mozjpeg_enc.wasm': 'node_modules/@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm',
  'mozjpeg_dec.wasm': 'node_modules/@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm',
  'openjpegwasm_decode.wasm': 'node_modules/@cornerstonejs/codec-openjpeg/dist/openjpegwasm_decode.wasm',
  'charlswasm_decode.wasm': 'node_modules/@cornerstonejs/codec-charls/dist/charlswasm_decode.wasm',
  'openjphjs.wasm': 'node_modules/@cornerstonejs/codec-openjph/dist/openjphjs.wasm',
  // Made by `npm run web:demo`.
  'demo/checkpoint.safetensors': 'web/demo/checkpoint.safetensors',
  'demo/provenance.json': 'web/demo/provenance.json',
};

/** Writes the page into a folder. Bundles of earlier builds, whose names carry hashes, are removed. */
export async function buildWeb(folder = join(root, 'dist', 'web')) {
  await mkdir(join(folder, 'demo'), { recursive: true });
  for (const entry of await readdir(folder, { withFileTypes: true })) if (entry.isFile()) await rm(join(folder, entry.name));
  await Promise.all([build({ ...webBuild, outdir: folder }), ...Object.entries(webFiles).map(([name, source]) => copyFile(join(root, source), join(folder, name)))]);
}

/** Writes dist/ from scratch. Throws what esbuild reports. */
export async function buildAll({ types = false } = {}) {
  await Promise.all([...builds.filter((options) => options !== webBuild).map((options) => build(options)), buildWeb()]);
  if (types) await emitTypes();
}

async function emitTypes() {
  await rm(join(root, 'dist', 'types'), { recursive: true, force: true });
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.types.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('esbuild.mjs: the declarations could not be made; see the messages above');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildAll({ types: process.argv.includes('--types') }).catch((error) => {
    // esbuild has printed its own messages.
    if (!error.errors) console.error(error.message);
    process.exitCode = 1;
  });
}
