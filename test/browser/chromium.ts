/** Which Chromium the browser tests drive, and how: headless, with WebGPU on SwiftShader, in a new empty profile, and quiet. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Flags for WebGPU on the CPU, and against every request that the browser makes of itself. */
export const CHROMIUM_FLAGS = [
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

/** `CT_LITE_CHROMIUM`, else an installed Chromium or Chrome, else the binary in @sparticuz/chromium (Linux x64); null where there is none. */
export async function findChromium(): Promise<string | null> {
  const chosen = process.env.CT_LITE_CHROMIUM;
  if (chosen !== undefined) return existsSync(chosen) ? chosen : null;
  return SYSTEM.find((path) => existsSync(path)) ?? (await carriedChromium());
}

async function carriedChromium(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  try {
    createRequire(import.meta.url).resolve('@sparticuz/chromium');
  } catch {
    return null;
  }
  const { default: carried } = await import('@sparticuz/chromium');
  return carried.executablePath();
}
