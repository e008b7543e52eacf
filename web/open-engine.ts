/** An engine on the browser's adapter, with one line about it for people. */
import { Engine } from '../src/autograd/index.ts';
import { Device } from '../src/engine/index.ts';
import { browserAdapterName, requestBrowserAdapter } from '../src/platform/browser-adapter.ts';

export interface OpenedEngine {
  engine: Engine;
  kind: 'hardware' | 'software';
  line: string;
}

export async function openBrowserEngine(): Promise<OpenedEngine> {
  const adapter = await requestBrowserAdapter();
  const engine = new Engine(await Device.open(adapter));
  const name = browserAdapterName(adapter.info);
  const kind = engine.device.isSoftware ? 'software' : 'hardware';
  return { engine, kind, line: kind === 'software' ? `${name} (software, slow: a GPU is far faster)` : name };
}

/** Longest wait for the browser's word that the device is lost, after a call on it failed, in ms. */
const patience = 1000;

/** True where `engine` no longer has its device: a call may fail before the browser says so. */
export async function isLost({ device }: Engine): Promise<boolean> {
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), patience));
  return Promise.race([device.gpu.lost.then(() => true), late]);
}
