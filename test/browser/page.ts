/** The page as its users have it: built, served with its headers, in Chromium with a new empty profile. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page, type Worker } from 'playwright';
// @ts-expect-error plain JavaScript
import { buildWeb } from '../../esbuild.mjs';
// @ts-expect-error plain JavaScript
import { serve } from '../../web/serve.mjs';
import { findChromium } from './chromium.ts';

/** How tests launch Chromium; null skips them. */
export const { launch: chromiumLaunch } = await findChromium();

export interface Site {
  url: string;
  folder: string;
  browser: Browser;
  close(): Promise<void>;
}

/** Builds the page into a folder of its own, since other tests build dist/ too, and opens a browser. */
export async function openSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'ct-lite-web-'));
  await buildWeb(folder);
  const server = (await serve({ folder })) as Server;
  const browser = await chromium.launch(chromiumLaunch!);
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`, folder, browser,
    close: async () => {
      await browser.close();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Visit {
  page: Page;
  context: BrowserContext;
  /** Requests to other hosts, violations of the policy, and errors that no one caught: a page has none. */
  offences: string[];
}

export interface VisitOptions {
  context?: BrowserContext;
  /** Runs in the page before its own scripts. */
  prepare?: () => void;
  colorScheme?: 'light' | 'dark';
  viewport?: { width: number; height: number };
}

export async function visit({ url, browser }: Site, { context, prepare, colorScheme = 'light', viewport = { width: 1280, height: 800 } }: VisitOptions = {}): Promise<Visit> {
  const own = context ?? (await browser.newContext({ viewport, colorScheme, locale: 'en-GB', acceptDownloads: true }));
  const page = await own.newPage();
  // A software renderer holds the page up while it takes in a large volume.
  page.setDefaultTimeout(120_000);
  const offences: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) offences.push(`request to ${request.url()}`);
    if (request.method() !== 'GET' && request.method() !== 'HEAD') offences.push(`${request.method()} ${request.url()}`);
  });
  page.on('pageerror', (error) => offences.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) offences.push(message.text());
  });
  if (prepare) await page.addInitScript(prepare);
  await page.goto(url);
  await page.waitForSelector('body[data-ready]');
  return { page, context: own, offences };
}

/** Waits until an element shows a text that fits, or a message tells of an error: then throws it. */
export async function shows(page: Page, selector: string, pattern: RegExp, { alert, timeout = 120_000 }: { alert?: string; timeout?: number } = {}): Promise<string> {
  await page.waitForFunction(
    ([target, source, message]) => {
      const error = message ? document.querySelector<HTMLElement>(message) : null;
      return (error && !error.hidden) || new RegExp(source!).test(document.querySelector<HTMLElement>(target!)!.innerText);
    },
    [selector, pattern.source, alert ?? ''],
    { timeout },
  );
  const text = await page.innerText(selector);
  if (!pattern.test(text)) throw new Error(`${selector} shows "${text}", and the page says: ${await page.innerText(alert!)}`);
  return text;
}

/** A worker of the page by the name of its script, once it is there. */
export async function workerOf(page: Page, script: string): Promise<Worker> {
  const isIt = (worker: Worker): boolean => worker.url().endsWith(`${script}.js`);
  return page.workers().find(isIt) ?? page.waitForEvent('worker', { predicate: isIt });
}

/** A picture of the page for people, where CT_LITE_SCREENSHOTS names a folder. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.CT_LITE_SCREENSHOTS;
  if (!folder) return;
  await page.evaluate(() => scrollTo(0, 0));
  // A picture of large volumes takes a software renderer its time.
  await page.screenshot({ path: join(folder, `${name}.png`), timeout: 120_000 });
}

/** Mean grey of a canvas as it is on the screen: 0 where nothing was drawn. */
export function brightness(page: Page, selector: string): Promise<number> {
  return meanOf(page, selector, (red) => red);
}

/** How much of red a canvas has above its blue, on the mean: that of scans is grey, and of the crosshair blue. */
export function warmth(page: Page, selector: string): Promise<number> {
  return meanOf(page, selector, (red, blue) => Math.max(0, red - blue));
}

async function meanOf(page: Page, selector: string, value: (red: number, blue: number) => number): Promise<number> {
  const { decode } = await import('fast-png');
  const { data, channels } = decode(await page.locator(selector).screenshot());
  let sum = 0;
  for (let at = 0; at < data.length; at += channels) sum += value(data[at]!, data[at + 2]!);
  return sum / (data.length / channels);
}
