import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findChromium } from './test/browser/chromium.ts';
// @ts-expect-error plain JavaScript, shared with esbuild.mjs
import { viteWgsl } from './wgsl-plugin.mjs';

const room = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...extra },
});

// A software adapter uses every core for one dispatch: files one after another, in one process, compile each pipeline once.
const oneProcess = { fileParallelism: false, isolate: false, maxWorkers: 1, testTimeout: 120_000 };
const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const { launch } = await findChromium();

/** Tests of the gpu room as they are, in a page: what they ask of Node is stood in for. Where no Chromium starts they show as skipped. */
const browserOps = launch === null ? room('browser-ops', { include: ['test/browser/no-chromium.test.ts'], sequence: { groupOrder: 1 } }) : {
  extends: true as const,
  plugins: [{
    name: 'stand-ins',
    enforce: 'pre' as const,
    resolveId: (id: string, importer = '') => {
      if (id === 'node:fs') return path('test/browser/fixture-files.ts');
      return resolve(dirname(importer), id) === path('test/support/engine.ts') ? path('test/browser/engine.ts') : null;
    },
  }],
  // Found only while a test runs, a package would be bundled then and the page loaded again, in the middle of the test.
  optimizeDeps: {
    noDiscovery: true,
    include: [
      '@huggingface/tokenizers', '@jsquash/jpeg/decode.js', '@jsquash/jpeg/encode.js', 'csv-parse/browser/esm/sync', 'dicom-parser', 'fflate', 'jpeg-lossless-decoder-js',
      'nifti-reader-js', 'pure-rand/distribution/uniformFloat64', 'pure-rand/distribution/uniformInt', 'pure-rand/generator/xoroshiro128plus',
    ],
  },
  test: {
    name: 'browser-ops',
    include: ['test/gpu/ops/**/*.test.ts', 'test/gpu/autograd/**/*.test.ts', 'test/gpu/engine/**/*.test.ts', 'test/browser/page/**/*.test.ts'],
    fileParallelism: false,
    isolate: false,
    testTimeout: 120_000,
    sequence: { groupOrder: 1 },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: launch }),
      instances: [{ browser: 'chromium' as const }],
    },
  },
};

export default defineConfig({
  plugins: [viteWgsl],
  test: {
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      room('unit'),
      room('validate'),
      room('gpu', oneProcess),
      // Every op again on a device that binds so little that ordinary shapes are cut into pieces, against the same references.
      { extends: true as const, test: { name: 'split', include: ['test/gpu/ops/**/*.test.ts', 'test/gpu/f16/ops.test.ts', 'test/gpu/model/fast.test.ts'], env: { CT_LITE_BINDING_LIMIT: '5120' }, ...oneProcess } },
      browserOps,
      // Alone on the machine: what it waits for is rendered on the CPU.
      room('browser', { exclude: ['test/browser/no-chromium.test.ts', 'test/browser/page/**'], fileParallelism: false, sequence: { groupOrder: 2 } }),
    ],
  },
});
