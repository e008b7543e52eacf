/**
 * What the page's own thread did, task by task. The time of a task on the clock says little on a busy machine: most of it is waiting for a
 * core, or, at a frame's end, for the compositor, which a software renderer keeps busy. So a task is measured by the processor time of the
 * thread itself, which Chromium's tracing gives beside the clock's (`tdur` and `dur`).
 */
import type { Page } from 'playwright';

interface TraceEvent {
  name: string;
  pid: number;
  tid: number;
  ph: string;
  dur?: number;
  tdur?: number;
  args?: { name?: string; data?: { url?: string } };
}

export interface MainThreadTask {
  /** On the processor, and on the clock, in ms. */
  cpuMs: number;
  wallMs: number;
}

/** Begins to watch; call what it resolves with to end, and get the tasks of the renderer's main threads, dearest first. */
export async function watchMainThread(page: Page): Promise<() => Promise<MainThreadTask[]>> {
  const session = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  session.on('Tracing.dataCollected', ({ value }) => void events.push(...(value as unknown as TraceEvent[]).filter(({ name }) => name === 'thread_name' || name.endsWith('RunTask'))));
  await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['disabled-by-default-devtools.timeline', '__metadata'], excludedCategories: ['*'] } });
  return async () => {
    // A task is recorded at its end, and answers to the test come from within one: only in a later task is it surely there.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
    await session.send('Tracing.end');
    await complete;
    await session.detach();
    const mains = new Set(events.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain').map(({ pid, tid }) => `${pid}/${tid}`));
    const tasks = events.filter(({ name, ph, pid, tid }) => name === 'RunTask' && ph === 'X' && mains.has(`${pid}/${tid}`));
    if (tasks.some(({ tdur }) => tdur === undefined)) throw new Error('tracing gives no processor times on this platform');
    return tasks.map(({ dur, tdur }) => ({ cpuMs: tdur! / 1000, wallMs: (dur ?? 0) / 1000 })).sort((a, b) => b.cpuMs - a.cpuMs);
  };
}
