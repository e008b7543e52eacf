/** The built folder as any static host serves it: below a path, without a header of ours; and on a computer whose pictures do not work. */
import { createReadStream, existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright';
import { encodeJpegVolume } from '../../src/data/index.ts';
import { initNodeCodecs } from '../../src/platform/node-dicom-codecs.ts';
import { brightness, chromiumLaunch, openSite, shows, visit, warmth, type Site } from './page.ts';

const path = '/of/many/pages/';
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' };

/** Knows files and their types, as every host does, and nothing else. */
function plainHost(folder: string): Server {
  return createServer(({ url }, response) => {
    const name = url!.startsWith(path) ? url!.slice(path.length) || 'index.html' : '';
    const file = join(folder, name);
    if (!name || name.includes('..') || !existsSync(file)) return void response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
}

describe.skipIf(!chromiumLaunch)('the page on any host', () => {
  let site: Site;
  let host: Server;
  beforeAll(async () => {
    await initNodeCodecs();
    site = await openSite();
    host = plainHost(site.folder);
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    site = { ...site, url: `http://localhost:${(host.address() as AddressInfo).port}${path}` };
  });
  afterAll(async () => {
    host?.close();
    await site?.close();
  });

  const readByDemo = async (page: Page): Promise<void> => {
    await page.click('#demo-model');
    await shows(page, '#model-line', /Demo model/, { alert: '#model-message' });
    await page.click('#predict');
    await shows(page, '#findings-list', /Pleural effusion/, { alert: '#model-message' });
  };

  it('below a path and without our headers shows a scan in three windows and reads it', async () => {
    const { page, context, offences } = await visit(site);
    await page.click('#open-phantom');
    await shows(page, '#compression-facts', /SSIM\s+0\.\d+/, { alert: '#scan-message' });
    // Soft tissue is bright in the window for lungs, grey in the mediastinum's, dark in that for bone; lungs are black in both.
    const bright: Record<string, number> = {};
    for (const window of ['bone', 'mediastinum', 'lung']) {
      await page.click(`#window-choice label:has([value=${window}])`);
      await page.waitForTimeout(500);
      for (const canvas of ['raw', 'jpeg']) bright[`${canvas} ${window}`] = await brightness(page, `#${canvas}-canvas`);
    }
    for (const canvas of ['raw', 'jpeg']) for (const window of ['bone', 'mediastinum']) expect(bright[`${canvas} ${window}`], JSON.stringify(bright)).toBeLessThan(0.8 * bright[`${canvas} lung`]!);
    await readByDemo(page);
    const before = await warmth(page, '#raw-canvas');
    await page.check('#heat-toggle');
    await expect.poll(() => warmth(page, '#raw-canvas'), { timeout: 20_000 }).toBeGreaterThan(before + 0.5);
    expect(offences).toEqual([]);
    await context.close();
  }, 240_000);

  it('opens a JPEG volume', async () => {
    const { page, context, offences } = await visit(site);
    const shape: [number, number, number] = [16, 64, 64];
    const ramp = Float32Array.from({ length: 16 * 64 * 64 }, (_, at) => (at % 64) / 32 - 1);
    const buffer = Buffer.from(await encodeJpegVolume(ramp, { shape, spacingMm: [22.5, 5.625, 5.625] }, { quality: 90, source: 'ramp' }));
    await page.setInputFiles('#file-input', { name: 'ramp.zip', mimeType: 'application/zip', buffer });
    await shows(page, '#compression-facts', /SSIM\s+0\.\d+/, { alert: '#scan-message' });
    expect(await page.innerText('#scan-facts')).toMatch(/16 × 64 × 64[\s\S]*22\.5 × 5\.6\d × 5\.6\d/);
    expect(offences).toEqual([]);
    await context.close();
  }, 120_000);

  it('without WebGL 2 says that the pictures cannot be shown, and compresses and reads the scan all the same', async () => {
    const prepare = (): void => {
      const { getContext } = HTMLCanvasElement.prototype;
      HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, ...rest: unknown[]) {
        return kind === 'webgl2' ? null : Reflect.apply(getContext, this, [kind, ...rest]);
      } as typeof getContext;
    };
    const { page, context, offences } = await visit(site, { prepare });
    await page.click('#open-phantom');
    await shows(page, '#scan-message', /The pictures cannot be shown.* WebGL 2: switch hardware acceleration on\. Compression and findings work without it/);
    await shows(page, '#compression-facts', /SSIM\s+0\.\d+/);
    await readByDemo(page);
    await page.check('#heat-toggle');
    await page.click('#plane-choice label:has([value=coronal])');
    expect(await page.innerText('#scan-message')).toMatch(/cannot be shown/);
    expect(offences).toEqual([]);
    await context.close();
  }, 240_000);
});
