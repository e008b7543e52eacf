import { defineConfig } from 'vitest/config';
// @ts-expect-error plain JavaScript, shared with esbuild.mjs
import { viteWgsl } from './wgsl-plugin.mjs';

const room = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...extra },
});

// A software adapter uses every core for one dispatch: files one after another, in one process, compile each pipeline once.
const oneProcess = { fileParallelism: false, isolate: false, maxWorkers: 1, testTimeout: 120_000 };

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
      { extends: true as const, test: { name: 'split', include: ['test/gpu/ops/**/*.test.ts', 'test/gpu/model/fast.test.ts'], env: { CT_LITE_BINDING_LIMIT: '5120' }, ...oneProcess } },
    ],
  },
});
