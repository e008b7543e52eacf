/** Calls from the page to a worker that answers late, dies, or never answers. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WorkerClient } from '../../../web/rpc.ts';

interface TestMethods {
  echo: { args: { value: number }; result: number };
  hang: { args: object; result: null };
}

/** In place of a worker: answers `echo` at once, `hang` never. */
class FakeWorker extends EventTarget {
  static all: FakeWorker[] = [];
  ended = false;
  constructor() {
    super();
    FakeWorker.all.push(this);
  }
  postMessage({ id, method, args }: { id: number; method: string; args: { value?: number } }): void {
    if (method === 'echo') queueMicrotask(() => this.dispatchEvent(Object.assign(new Event('message'), { data: { id, result: args.value } })));
  }
  terminate(): void {
    this.ended = true;
  }
}

describe('WorkerClient', () => {
  beforeEach(() => {
    FakeWorker.all = [];
    vi.stubGlobal('Worker', FakeWorker);
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('ends a worker that never answers, says so to all who wait, and starts another', async () => {
    const onLost = vi.fn();
    const client = new WorkerClient<TestMethods, never>(new URL('http://localhost/w.js'), 'scan', { most: { hang: 120_000 }, onLost });
    expect(await client.call('echo', { value: 3 })).toBe(3);
    const hung = client.call('hang', {}).catch((error: Error) => error.message);
    await vi.advanceTimersByTimeAsync(119_000);
    expect(onLost).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2000);
    expect(await hung).toMatch(/The scan worker gave no answer for 2 minutes and was ended/);
    expect([onLost.mock.calls.length, FakeWorker.all[0]!.ended]).toEqual([1, true]);
    expect(await client.call('echo', { value: 4 })).toBe(4);
    expect(FakeWorker.all).toHaveLength(2);
    // What was answered in time has no limit left that could end the new worker.
    await vi.advanceTimersByTimeAsync(300_000);
    expect(FakeWorker.all[1]!.ended).toBe(false);
  });

  it('tells everyone who waits when a worker dies', async () => {
    const onLost = vi.fn();
    const client = new WorkerClient<TestMethods, never>(new URL('http://localhost/w.js'), 'training', { onLost });
    const waiting = [client.call('hang', {}), client.call('hang', {})].map((call) => call.catch((error: Error) => error.message));
    FakeWorker.all[0]!.dispatchEvent(Object.assign(new Event('error'), { message: 'out of memory' }));
    for (const message of await Promise.all(waiting)) expect(message).toMatch(/The training worker was lost \(out of memory\)/);
    expect(onLost).toHaveBeenCalledTimes(1);
  });
});
