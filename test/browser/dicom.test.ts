/** DICOM series in the page: folders and ZIPs, uncompressed and in the syntaxes whose decoders are WebAssembly. */
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frameEncoder } from '../support/compressed-slices.ts';
import { COLUMNS, ctSeries, ROWS, storedValues } from '../support/dicom-series.ts';
import { SYNTAX } from '../support/dicom-writer.ts';
import { chromiumLaunch, openSite, screenshot, shows, visit, type Site, type Visit } from './page.ts';

const realSeries = '../shared/data/dicom/lungdx_A0002_kB40f_series.zip';
const slices = 3;

const syntaxes: [name: string, syntax: string, codec: Parameters<typeof frameEncoder>[0] | null][] = [
  ['uncompressed', SYNTAX.explicit, null],
  ['JPEG-LS', '1.2.840.10008.1.2.4.80', 'charls'],
  ['JPEG 2000', '1.2.840.10008.1.2.4.90', 'openjpeg'],
  ['HTJ2K', '1.2.840.10008.1.2.4.201', 'openjph'],
];

describe.skipIf(!chromiumLaunch)('a DICOM series in the page', () => {
  let site: Site;
  let seen: Visit;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ct-lite-dicom-'));
    site = await openSite();
    seen = await visit(site);
  });
  afterAll(async () => {
    await site?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it.each(syntaxes)('opens from a folder, %s', async (name, syntax, codec) => {
    const { page } = seen;
    const encode = codec && (await frameEncoder(codec));
    const compressed = (k: number): ReturnType<NonNullable<Parameters<typeof ctSeries>[1]>> => ({ '7FE00010': ['OB', { fragments: [encode!(storedValues(k), 12, false)] }] });
    const series = ctSeries(slices, encode ? compressed : undefined, { syntax });
    const own = join(folder, name.replaceAll(' ', '-'));
    await mkdir(own);
    for (const each of series) await writeFile(join(own, each.name), await each.read());
    await page.setInputFiles('#folder-input', own);
    await shows(page, '#scan-title', new RegExp(name.replaceAll(' ', '-')), { alert: '#scan-message' });
    await shows(page, '#scan-facts', new RegExp(`${slices} × ${ROWS} × ${COLUMNS}`), { alert: '#scan-message' });
    await shows(page, '#compression-facts', /PSNR/, { alert: '#scan-message' });
  }, 120_000);

  it.skipIf(!existsSync(realSeries))('opens from a ZIP, real', async () => {
    const { page } = seen;
    await page.setInputFiles('#file-input', realSeries);
    await shows(page, '#scan-facts', /30 × 512 × 512/, { alert: '#scan-message' });
    await shows(page, '#jpeg-caption', /quality 75/, { alert: '#scan-message', timeout: 180_000 });
    await screenshot(page, 'dicom');
  }, 240_000);

  it('asked for nothing from elsewhere and broke no policy', () => {
    expect(seen.offences).toEqual([]);
  });
});
