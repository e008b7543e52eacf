import { defineConfig } from 'vitest/config';
// @ts-expect-error plain JavaScript, shared with esbuild.mjs
import { viteWgsl } from './wgsl-plugin.mjs';

const room = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...extra },
});

export default defineConfig({
  plugins: [viteWgsl],
  test: {
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      room('unit'),
      room('validate'),
      // A software adapter uses every core for one dispatch: files one after another, in one process, compile each pipeline once.
      room('gpu', { fileParallelism: false, isolate: false, maxWorkers: 1, testTimeout: 120_000 }),
    ],
  },
});
