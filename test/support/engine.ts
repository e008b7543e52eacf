import { Engine } from '../../src/autograd/index.ts';
import { Device, type DeviceOptions } from '../../src/engine/index.ts';
import { requestNodeAdapter } from '../../src/platform/node-adapter.ts';

let shared: Promise<Engine> | null = null;

/** Bytes that the shared engine binds at most: set by the test project that runs every op in pieces. */
const bindingLimit = process.env.CT_LITE_BINDING_LIMIT ? Number(process.env.CT_LITE_BINDING_LIMIT) : undefined;

/** The engine that all GPU tests of a process share. CT_LITE_ADAPTER picks the adapter. Refuses the null backend. */
export function testEngine(): Promise<Engine> {
  shared ??= openTestEngine({ bindingLimit });
  return shared;
}

/** An engine of its own, for tests that change limits or destroy the device. */
export async function openTestEngine(options: DeviceOptions = {}): Promise<Engine> {
  const { adapter, name, collectGarbage } = await requestNodeAdapter({ adapter: process.env.CT_LITE_ADAPTER });
  if (/null/i.test(name)) throw new Error('the null backend never executes: its read-backs are garbage, so value tests refuse it');
  return new Engine(await Device.open(adapter, { collectGarbage, ...options }));
}
