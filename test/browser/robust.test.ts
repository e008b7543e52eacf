/** What can go wrong in a browser, each with a clear word and a way on. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Worker } from 'playwright';
import { violations } from './axe.ts';
import { chromiumLaunch, openSite, screenshot, shows, visit, workerOf, type Site, type Visit } from './page.ts';

/** Arguments for `begin` that a software adapter can do. */
const smallest = { patients: 2, testPatients: 1, steps: 30, batch: 1, checkpointEvery: 1, seed: 3 };

async function begin({ page }: Visit, settings: Record<string, number> = smallest): Promise<void> {
  await page.click('#training-tab');
  for (const [name, value] of Object.entries(settings)) await page.fill(`input[name=${name}]`, String(value));
  await page.click('#begin');
}

describe.skipIf(!chromiumLaunch)('the page', () => {
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
      ['shard-000000.tar', Buffer.alloc(1024), /shard-000000\.tar: a shard holds many scans of a prepared cohort; train on it/],
      ['photo.jpg', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), /photo\.jpg: .*single JPEG picture/],
    ];
    for (const [name, buffer, message] of cases) {
      await page.setInputFiles('#file-input', { name, mimeType: '', buffer });
      await shows(page, '#scan-message', message);
    }
    // As large as a file may be, without the disk: a file made of one block many times over.
    const giveHuge = (selector: string, name: string, blocks: number): Promise<void> =>
      page.evaluate(
        ([target, fileName, count]) => {
          const block = new Blob([new Uint8Array(2 ** 26)]);
          const transfer = new DataTransfer();
          transfer.items.add(new File(Array.from({ length: count }, () => block), fileName));
          const input = document.querySelector<HTMLInputElement>(target)!;
          input.files = transfer.files;
          input.dispatchEvent(new Event('change'));
        },
        [selector, name, blocks] as const,
      );
    await giveHuge('#model-input', 'huge.safetensors', 32);
    await giveHuge('#file-input', 'huge.nii', 17);
    await shows(page, '#scan-message', /huge\.nii: 1\.1 GiB are too large for a browser tab, 1 GiB at most/);
    await screenshot(page, 'wrong-file');
    await page.click('#open-phantom');
    await shows(page, '#compression-facts', /SSIM/, { alert: '#scan-message', timeout: 180_000 });
    await shows(page, '#model-message', /huge\.safetensors: 2\.0 GiB are too large for a browser; use ct-lite predict/);
    await page.setInputFiles('#model-input', { name: 'weights.safetensors', mimeType: '', buffer: Buffer.from('nothing of the kind') });
    await shows(page, '#model-message', /weights\.safetensors: .*not a safetensors file/);
    expect(await page.isHidden('#scan-message')).toBe(true);
    await page.close();
  }, 240_000);

  it('with its storage full says so before it begins and in the middle, leaves nothing half-done, and goes on when there is space', async () => {
    const seen = await opened();
    const { page, context } = seen;
    const session = await context.newCDPSession(page);
    const origin = new URL(site.url).origin;
    const full = /storage for this page is full; remove older runs, or free some disk space, then go on/;
    // What the browser tells of its storage before anything is read; what it then allows is another matter.
    const worker = await workerOf(page, 'training-worker');
    await worker.evaluate(() => Object.assign(navigator.storage, { estimate: async () => ({ usage: 0, quota: 100_000 }) }));
    await begin(seen);
    await shows(page, '#training-message', /\d+ scans of size "tiny" need .* of this browser's storage, 100 kB are left\. Remove older runs/, { timeout: 180_000 });
    // Older Chromium tells of the quota that is set below, newer does not: the page shall think that there is space.
    await worker.evaluate(() => Object.assign(navigator.storage, { estimate: async () => ({ usage: 0, quota: 1e9 }) }));
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000 });
    await page.click('#begin');
    await shows(page, '#training-message', full, { timeout: 180_000 });
    expect(await page.isEnabled('#begin')).toBe(true);
    expect(await page.isVisible('#runs-none')).toBe(true);
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    await page.click('#begin');
    await shows(page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000 });
    await shows(page, '#training-message', full, { timeout: 180_000 });
    expect(await page.innerText('#live-title')).toBe('Stopped');
    await screenshot(page, 'storage-full');
    await shows(page, '#runs-body', /Go on/);
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    await page.click('#runs-body [data-action=resume]');
    await shows(page, '#training-facts', /\d+ of 30\s+Stage/, { alert: '#training-message', timeout: 180_000 });
    await page.click('#pause');
    await shows(page, '#live-title', /Paused/, { alert: '#training-message' });
    await page.close();
    await context.close();
  }, 400_000);

  it('in two tabs trains a run in one of them only, sleeps and wakes, and goes on in a new tab with what a closed one left', async () => {
    const first = await opened();
    await begin(first);
    const stepOf = async ({ page }: Visit, place: string): Promise<number> => Number(/(\d+) of 30/.exec(await page.innerText(place))![1]);
    await shows(first.page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    const second = await opened({ context: first.context });
    await second.page.click('#training-tab');
    await shows(second.page, '#runs-body', /\(in another tab\)/);
    expect(await second.page.isDisabled('#runs-body [data-action=resume]')).toBe(true);
    await screenshot(second.page, 'two-tabs');
    // A run of its own that ends leaves the other tab's alone.
    await begin(second);
    await second.page.click('#stop');
    await shows(second.page, '#training-message', /Stopped before the first step/, { timeout: 180_000 });
    await second.page.waitForFunction(() => !document.querySelector<HTMLButtonElement>('#begin')!.disabled, null, { timeout: 120_000 });
    for (const action of ['resume', 'remove']) expect(await second.page.isDisabled(`#runs-body [data-action=${action}]`), `${action} of a run in another tab`).toBe(true);

    // As browsers do with a tab that nobody has looked at for a while.
    const session = await first.context.newCDPSession(first.page);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    const awake = await stepOf(first, '#training-facts');
    await first.page.waitForFunction((step) => Number(/(\d+) of 30/.exec(document.querySelector<HTMLElement>('#training-facts')!.innerText)![1]) > step, awake, { timeout: 120_000 });
    expect(await first.page.isHidden('#training-message')).toBe(true);

    await first.page.close({ runBeforeUnload: false });
    // The tab that saw it busy sees that it is free once one comes back to it.
    await second.page.waitForFunction(() => {
      document.dispatchEvent(new Event('visibilitychange'));
      return document.querySelector<HTMLButtonElement>('#runs-body [data-action=resume]')?.disabled === false;
    }, null, { timeout: 60_000, polling: 500 });
    await second.page.close();
    const third = await opened({ context: first.context });
    await third.page.click('#training-tab');
    await shows(third.page, '#runs-body', /Go on/);
    const before = await stepOf(third, '#runs-body');
    await third.page.click('#runs-body [data-action=resume]');
    await shows(third.page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    // The list counts the steps in the metrics; the last one may have been logged and not yet saved when the tab was closed.
    expect(await stepOf(third, '#training-facts')).toBeGreaterThanOrEqual(before - 1);
    await third.page.click('#stop');
    await shows(third.page, '#live-title', /Stopped and evaluated/, { alert: '#training-message', timeout: 180_000 });
    const [report] = await Promise.all([third.page.waitForEvent('download'), third.page.click('#runs-body [data-action=report]')]);
    expect(await readFile((await report.path())!, 'utf8')).toContain('The scans are phantoms');
    expect(await third.page.isEnabled('#runs-body [data-action=resume]'), 'it can still go on').toBe(true);
    await third.context.close();
  }, 400_000);

  it('runs the benches, stops when asked, and gives the results with the adapter\'s name', async () => {
    const { page } = await opened();
    await page.click('#bench-tab');
    await page.click('#bench-run');
    await page.waitForFunction(() => document.querySelectorAll('#bench-body tr').length >= 2 || !document.querySelector<HTMLElement>('#bench-message')!.hidden, null, { timeout: 240_000 });
    await page.click('#bench-stop');
    await shows(page, '#bench-done', /Stopped: \d+ cases/, { alert: '#bench-message', timeout: 240_000 });
    expect(await violations(page)).toEqual([]);
    const measured = await page.locator('#bench-body tr').filter({ hasText: '%' }).count();
    expect(await page.locator('#bench-bars .pass').count()).toBe(measured);
    const [saved] = await Promise.all([page.waitForEvent('download'), page.click('#bench-save')]);
    expect(saved.suggestedFilename()).toMatch(/^ct-lite-bench-.*swiftshader.*\.json$/);
    const { adapter, ceiling, cases } = JSON.parse(await readFile((await saved.path())!, 'utf8')) as { adapter: string; ceiling: { flops: number }; cases: object[] };
    expect(adapter).toMatch(/swiftshader/i);
    expect(ceiling.flops).toBeGreaterThan(1e6);
    expect(cases.filter((outcome) => 'failed' in outcome)).toEqual([]);
    expect(cases.length).toBeGreaterThan(0);
    await page.close();
  }, 500_000);

  it('asked for nothing from elsewhere and broke no policy in all of this', () => {
    expect(open.length).toBeGreaterThan(5);
    expect(open.flatMap(({ offences }) => offences)).toEqual([]);
  });
});
