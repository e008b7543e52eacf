/** Stands in for test/support/engine.ts in a page: the same functions over src/browser.ts. */
import { Engine, openEngine } from '../../src/browser.ts';
import { Device, type DeviceOptions } from '../../src/engine/index.ts';
import { requestBrowserAdapter } from '../../src/platform/browser-adapter.ts';

let shared: Promise<Engine> | null = null;

export function testEngine(): Promise<Engine> {
  shared ??= openEngine();
  return shared;
}

export async function openTestEngine(options: DeviceOptions = {}): Promise<Engine> {
  return new Engine(await Device.open(await requestBrowserAdapter(), options));
}
