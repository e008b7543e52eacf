/** What the browser loads: how large it is, and that the package's own bundle computes in a page. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type BuildOptions, type Metafile } from 'esbuild';
import { chromium } from 'playwright';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { builds } from '../../esbuild.mjs';
// @ts-expect-error plain JavaScript
import { serve } from '../../web/serve.mjs';
import { chromiumLaunch } from './page.ts';

const [nodeFreeBuild, webBuild] = (builds as BuildOptions[]).filter(({ platform }) => platform === 'browser') as [BuildOptions, BuildOptions];
/** Bytes, gzipped. */
const mostPageBytes = 400_000;

describe('the page\'s JavaScript', () => {
  it(`without the viewer is below ${mostPageBytes / 1000} kB gzipped`, async () => {
    const { metafile, outputFiles } = await build({ ...webBuild, write: false, metafile: true, sourcemap: false });
    const files = new Map(outputFiles!.map(({ path, contents }) => [basename(path), contents]));
    const loaded = new Set<string>();
    for (const [path, { entryPoint }] of Object.entries(metafile!.outputs)) if (entryPoint && !/viewer|node_modules/.test(entryPoint)) follow(metafile!, path, loaded);
    const sizes = [...loaded].map((path) => gzipSync(files.get(basename(path))!).length);
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    console.log(`the page and its workers: ${(total / 1000).toFixed(0)} kB gzipped in ${loaded.size} files`);
    expect(total).toBeLessThan(mostPageBytes);
    // It counts what is loaded: the engine is in it, the viewer is not.
    expect(total).toBeGreaterThan(50_000);
    expect(Object.keys(metafile!.outputs).some((path) => /viewer/.test(path) && loaded.has(path))).toBe(false);
  });
});

/** What a bundle loads at once; what it imports when it needs it, as the viewer, does not count. */
function follow(metafile: Metafile, path: string, loaded: Set<string>): void {
  if (loaded.has(path)) return;
  loaded.add(path);
  for (const { path: next, kind } of metafile.outputs[path]!.imports) if (kind === 'import-statement' && metafile.outputs[next]) follow(metafile, next, loaded);
}

describe.skipIf(!chromiumLaunch)('the package in a page', () => {
  let folder: string;
  let server: Server;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ct-lite-bundle-'));
    await build({ ...nodeFreeBuild, outdir: folder });
    server = (await serve({ folder })) as Server;
  });
  afterAll(async () => {
    server?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it('computes and differentiates as the README shows', async () => {
    expect((await readFile(join(folder, 'browser.js'))).length).toBeGreaterThan(10_000);
    const browser = await chromium.launch(chromiumLaunch!);
    try {
      const page = await browser.newPage();
      const url = `http://localhost:${(server.address() as AddressInfo).port}/browser.js`;
      await page.goto(url);
      // As text: vitest would rewrite the import of a function.
      const result = (await page.evaluate(`(async () => {
        const { openEngine, ops, noGrad } = await import('${url}');
        const engine = await openEngine();
        const weight = engine.tensor(new Float32Array(4 * 3).fill(0.1), [4, 3], { requiresGrad: true });
        const x = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
        const trained = await engine.scope(async () => {
          const loss = ops.mean(ops.square(ops.gelu(ops.linear(x, weight, null))));
          await loss.backward();
          return { loss: await loss.item(), gradient: [...await weight.grad.toArray()] };
        });
        const y = noGrad(() => ops.layerNorm(x, null, null));
        const normalised = [...await y.toArray()];
        engine.destroy();
        return { ...trained, normalised };
      })()`)) as { loss: number; gradient: number[]; normalised: number[] };
      // mean of gelu(0.6)² and gelu(1.5)², by hand in float64
      expect(result.loss).toBeCloseTo((0.43544813 ** 2 + 1.39978920 ** 2) / 2, 5);
      expect(result.gradient).toHaveLength(12);
      for (const value of result.gradient) expect(value).toBeGreaterThan(0);
      expect(result.normalised[0]).toBeCloseTo(-Math.sqrt(1.5), 4);
    } finally {
      await browser.close();
    }
  }, 120_000);
});
