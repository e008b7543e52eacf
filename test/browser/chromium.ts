/** Which Chromium the browser tests drive, and how: headless, with WebGPU on SwiftShader, in a new empty profile, and quiet. */
import { existsSync } from 'node:fs';
import { chromium as driver, type LaunchOptions } from 'playwright';
import { carriedChromium } from './carried-chromium.ts';

/** Flags for WebGPU on the CPU, and against every request that the browser makes of itself. */
const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const SYSTEM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

/** How to launch a Chromium that was seen to start; else null, and why. */
export interface FoundChromium {
  launch: LaunchOptions | null;
  reason: string;
}

/** What the first look found, for the other projects and processes of a run: each evaluates this file again. */
const FOUND = 'CT_LITE_CHROMIUM_FOUND';

/** `CT_LITE_CHROMIUM` and nothing else where it is set; else an installed Chromium or Chrome, else the one in @sparticuz/chromium (Linux x64): the first that starts. */
export async function findChromium(): Promise<FoundChromium> {
  const known = process.env[FOUND];
  if (known !== undefined) return JSON.parse(known) as FoundChromium;
  const found = await search();
  process.env[FOUND] = JSON.stringify(found);
  if (found.launch === null) console.warn(`The browser tests are skipped: ${found.reason}`);
  return found;
}

async function search(): Promise<FoundChromium> {
  const chosen = process.env.CT_LITE_CHROMIUM;
  const reasons: string[] = [];
  for (const path of chosen === undefined ? SYSTEM.filter((path) => existsSync(path)) : [chosen]) {
    const launch: LaunchOptions = { executablePath: path, args: CHROMIUM_FLAGS };
    const failure = await failureToStart(launch);
    if (failure === null) return { launch, reason: '' };
    reasons.push(`${path}: ${failure}`);
  }
  if (chosen === undefined) {
    try {
      const carried = await carriedChromium();
      // Its own libraries only where it does not start with the system's: the two are never mixed without need.
      for (const env of carried === null ? [] : [undefined, carried.environment]) {
        const launch: LaunchOptions = { executablePath: carried!.path, args: CHROMIUM_FLAGS, ...(env && { env }) };
        const failure = await failureToStart(launch);
        if (failure === null) return { launch, reason: '' };
        reasons.push(`@sparticuz/chromium${env ? ' with its own libraries' : ''}: ${failure}`);
      }
    } catch (error) {
      reasons.push(`@sparticuz/chromium cannot be unpacked: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  const seen = reasons.length > 0 ? `none starts (${reasons.join('; ')})` : 'none on this machine';
  return { launch: null, reason: `no Chromium: ${seen}; install one, or name it in CT_LITE_CHROMIUM` };
}

/** Null where the browser starts and opens a page, else one line of why not. */
async function failureToStart(launch: LaunchOptions): Promise<string | null> {
  try {
    const browser = await driver.launch({ ...launch, timeout: 60_000 });
    try {
      await browser.newPage();
    } finally {
      await browser.close();
    }
    return null;
  } catch (error) {
    const lines = (error as Error).message.split('\n');
    return (lines.find((line) => /error while loading|doesn't exist|cannot execute/i.test(line)) ?? lines[0]!).trim();
  }
}
