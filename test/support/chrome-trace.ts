/** The Chrome trace-event format, as far as chrome://tracing and ui.perfetto.dev insist on it. */
import { expect } from 'vitest';

export interface TraceEvent {
  name: string;
  ph: string;
  cat?: string;
  pid: number;
  tid: number;
  ts: number;
  dur: number;
  args?: Record<string, string | number>;
}

/**
 * Checks a trace in JSON object format of complete (`X`) and metadata (`M`) events: the fields that each must have, names for every
 * process and track, and on each track beginnings in order and spans that are apart or one within the other. Gives the events.
 */
export function expectChromeTrace(json: string): TraceEvent[] {
  const trace = JSON.parse(json) as { traceEvents: TraceEvent[]; displayTimeUnit?: string };
  expect(['ms', 'ns']).toContain(trace.displayTimeUnit);
  expect(Array.isArray(trace.traceEvents)).toBe(true);
  const names = { process_name: new Set<string>(), thread_name: new Set<string>() };
  const open = new Map<string, TraceEvent[]>();
  const last = new Map<string, number>();
  for (const event of trace.traceEvents) {
    const shown = JSON.stringify(event);
    expect(typeof event.name === 'string' && event.name !== '', shown).toBe(true);
    expect(Number.isInteger(event.pid) && Number.isInteger(event.tid), shown).toBe(true);
    for (const value of Object.values(event.args ?? {})) expect(['string', 'number'], shown).toContain(typeof value);
    if (event.ph === 'M') {
      expect(Object.keys(names), shown).toContain(event.name);
      expect(event.args?.name, shown).toBeTruthy();
      names[event.name as keyof typeof names].add(event.name === 'process_name' ? `${event.pid}` : `${event.pid}/${event.tid}`);
      continue;
    }
    expect(event.ph, shown).toBe('X');
    expect(Number.isFinite(event.ts) && event.ts >= 0 && Number.isFinite(event.dur) && event.dur >= 0, shown).toBe(true);
    const track = `${event.pid}/${event.tid}`;
    expect(names.process_name.has(`${event.pid}`) && names.thread_name.has(track), `${shown}: its process and track are named before it`).toBe(true);
    expect(event.ts, `${shown}: begins before the event above it on its track`).toBeGreaterThanOrEqual(last.get(track) ?? 0);
    last.set(track, event.ts);
    // Times are whole nanoseconds, their sums in f64 are not.
    const around = (open.get(track) ?? []).filter(({ ts, dur }) => ts + dur > event.ts + 1e-4);
    for (const outer of around) expect(event.ts + event.dur, `${shown} ends after ${outer.name}, within which it begins`).toBeLessThanOrEqual(outer.ts + outer.dur + 1e-4);
    open.set(track, [...around, event]);
  }
  return trace.traceEvents;
}
