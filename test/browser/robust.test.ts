/** What can go wrong in a browser, each with a clear word and a way on. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Worker } from 'playwright';
import { chromiumPath, openSite, screenshot, shows, visit, workerOf, type Site, type Visit } from './page.ts';

/** Arguments for `begin` that a software adapter can do. */
const smallest = { patients: 2, testPatients: 1, steps: 30, batch: 1, checkpointEvery: 1, seed: 3 };

async function begin({ page }: Visit, settings: Record<string, number> = smallest): Promise<void> {
  await page.click('#training-tab');
  for (const [name, value] of Object.entries(settings)) await page.fill(`input[name=${name}]`, String(value));
  await page.click('#begin');
}

describe.skipIf(!chromiumPath)('the page', () => {
  let site: Site;
  const open: Visit[] = [];
  const opened = async (...options: Parameters<typeof visit> extends [Site, ...infer Rest] ? Rest : never): Promise<Visit> => {
    const seen = await visit(site, ...options);
    open.push(seen);
    return seen;
  };

  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(async () => {
    await site?.close();
  });

  it.each([
    ['WebGPU', () => Object.defineProperty(Navigator.prototype, 'gpu', { value: undefined }), /this browser has no WebGPU; use Chrome or Edge 113/i],
    ['an adapter', () => Object.assign(GPU.prototype, { requestAdapter: async () => null }), /offers no WebGPU adapter; switch hardware acceleration on/],
  ])('without %s says so, and still shows and compresses scans', async (_, prepare, message) => {
    const seen = await opened({ prepare });
    const { page } = seen;
    expect(await page.innerText('#gpu-message')).toMatch(message);
    expect(await page.innerText('#gpu-message')).toContain('You can still open scans');
    await page.click('#open-phantom');
    await shows(page, '#compression-facts', /SSIM\s+0\.\d+/, { alert: '#scan-message', timeout: 180_000 });
    expect(await page.isDisabled('#choose-model')).toBe(true);
    expect(await page.isDisabled('#begin')).toBe(true);
    expect(seen.offences).toEqual([]);
    await screenshot(page, 'no-webgpu');
    await page.close();
  }, 240_000);

  it('on an adapter with too small limits names the limit', async () => {
    const { page } = await opened();
    await page.click('#open-phantom');
    const worker: Worker = await workerOf(page, 'scan-worker');
    await worker.evaluate(() => {
      const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'limits')!;
      Object.defineProperty(GPUAdapter.prototype, 'limits', { get() { return new Proxy(get!.call(this), { get: (limits, name) => (name === 'maxStorageBuffersPerShaderStage' ? 4 : Reflect.get(limits, name, limits)) }); } });
    });
    await shows(page, '#compression-facts', /SSIM/, { alert: '#scan-message', timeout: 180_000 });
    await page.setInputFiles('#model-input', { name: 'any.safetensors', mimeType: 'application/octet-stream', buffer: Buffer.alloc(8) });
    await shows(page, '#model-message', /maxStorageBuffersPerShaderStage of at least 8, offered 4/);
    await page.close();
  }, 240_000);

  it('refuses wrong and huge files by name, and goes on with the next', async () => {
    const { page } = await opened();
    const cases: [name: string, buffer: Buffer, message: RegExp][] = [
      ['notes.txt', Buffer.from('not a scan'), /notes\.txt: a scan must be NIfTI .* got something else/],
      ['empty.nii', Buffer.alloc(0), /empty\.nii: .*an empty file/],
      ['slice.zip', Buffer.from('PK\u0003\u0004 but no archive'), /slice\.zip: not a readable ZIP|slice\.zip/],
      ['photo.jpg', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), /photo\.jpg: .*single JPEG picture/],
    ];
    for (const [name, buffer, message] of cases) {
      await page.setInputFiles('#file-input', { name, mimeType: '', buffer });
      await shows(page, '#scan-message', message);
    }
    // As large as a file may be, without the disk: a file made of one block many times over.
    await page.evaluate(() => {
      const block = new Blob([new Uint8Array(2 ** 26)]);
      const transfer = new DataTransfer();
      transfer.items.add(new File(Array.from({ length: 17 }, () => block), 'huge.nii'));
      const input = document.querySelector<HTMLInputElement>('#file-input')!;
      input.files = transfer.files;
      input.dispatchEvent(new Event('change'));
    });
    await shows(page, '#scan-message', /huge\.nii: 1\.1 GiB are too large for a browser tab, 1 GiB at most/);
    await screenshot(page, 'wrong-file');
    await page.setInputFiles('#model-input', { name: 'weights.safetensors', mimeType: '', buffer: Buffer.from('nothing of the kind') });
    await page.click('#open-phantom');
    await shows(page, '#compression-facts', /SSIM/, { alert: '#scan-message', timeout: 180_000 });
    await shows(page, '#model-message', /weights\.safetensors: .*not a safetensors file/);
    expect(await page.isHidden('#scan-message')).toBe(true);
    await page.close();
  }, 240_000);

  it('with its storage full says so, leaves nothing half-done, and goes on when there is space', async () => {
    const seen = await opened();
    const { page, context } = seen;
    const session = await context.newCDPSession(page);
    const origin = new URL(site.url).origin;
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000 });
    await begin(seen);
    await shows(page, '#training-message', /storage for this page is full; remove older runs, or free some disk space/, { timeout: 180_000 });
    expect(await page.isEnabled('#begin')).toBe(true);
    expect(await page.isVisible('#runs-none')).toBe(true);
    await screenshot(page, 'storage-full');
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    await page.click('#begin');
    await shows(page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    await page.click('#pause');
    await shows(page, '#live-title', /Paused/, { alert: '#training-message' });
    await page.close();
    await context.close();
  }, 400_000);

  it('in two tabs trains a run in one of them only, and goes on in a new tab with what a closed one left', async () => {
    const first = await opened();
    await begin(first);
    await shows(first.page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    const second = await opened({ context: first.context });
    await second.page.click('#training-tab');
    await shows(second.page, '#runs-body', /\(in another tab\)/);
    expect(await second.page.isDisabled('#runs-body [data-action=resume]')).toBe(true);
    await screenshot(second.page, 'two-tabs');
    await second.page.close();

    await first.page.close({ runBeforeUnload: false });
    const third = await opened({ context: first.context });
    await third.page.click('#training-tab');
    await shows(third.page, '#runs-body', /Go on/);
    const before = Number(/(\d+) of 30/.exec(await third.page.innerText('#runs-body'))![1]);
    await third.page.click('#runs-body [data-action=resume]');
    await shows(third.page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    const after = Number(/(\d+) of 30/.exec(await third.page.innerText('#training-facts'))![1]);
    // The list counts the steps in the metrics; the last one may have been logged and not yet saved when the tab was closed.
    expect(after).toBeGreaterThanOrEqual(before - 1);
    await third.page.click('#pause');
    await shows(third.page, '#live-title', /Paused/, { alert: '#training-message' });
    await third.context.close();
  }, 400_000);

  it('runs the benches, stops when asked, and gives the results with the adapter\'s name', async () => {
    const { page } = await opened();
    await page.click('#bench-tab');
    await page.click('#bench-run');
    await page.waitForFunction(() => document.querySelectorAll('#bench-body tr').length >= 2 || !document.querySelector<HTMLElement>('#bench-message')!.hidden, null, { timeout: 240_000 });
    await page.click('#bench-stop');
    await shows(page, '#bench-message', /Stopped/, { timeout: 240_000 });
    const [saved] = await Promise.all([page.waitForEvent('download'), page.click('#bench-save')]);
    const { adapter, ceiling, cases } = JSON.parse(await readFile((await saved.path())!, 'utf8')) as { adapter: string; ceiling: { flops: number }; cases: object[] };
    expect(adapter).toMatch(/swiftshader/i);
    expect(ceiling.flops).toBeGreaterThan(1e6);
    expect(cases.filter((outcome) => 'failed' in outcome)).toEqual([]);
    expect(cases.length).toBeGreaterThan(0);
    await page.close();
  }, 500_000);

  it('names every control, and moves between its sections by keyboard', async () => {
    const { page } = await opened();
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('button, input, select, canvas')]
        .filter((control) => !(control.getAttribute('aria-label') || (control as HTMLInputElement).labels?.length || control.textContent?.trim()))
        .map((control) => control.outerHTML),
    );
    expect(unnamed).toEqual([]);
    await page.focus('#scan-tab');
    await page.keyboard.press('ArrowRight');
    expect(await page.isVisible('#training-panel')).toBe(true);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('training-tab');
    await page.close();
  });

  it('asked for nothing from elsewhere and broke no policy in all of this', () => {
    expect(open.length).toBeGreaterThan(5);
    expect(open.flatMap(({ offences }) => offences)).toEqual([]);
  });
});
