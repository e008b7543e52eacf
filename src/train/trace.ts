/** What the CPU does and when, and a Chrome trace (JSON of chrome://tracing and ui.perfetto.dev) of it beside the GPU's dispatches. */
import type { DispatchTime } from '../engine/index.ts';

/** `begin` and `end` in ms of `performance.now()`. */
export interface Span {
  /** Row in the trace; spans of one track that overlap without nesting are shown in further rows. */
  track: string;
  name: string;
  begin: number;
  end: number;
  args?: Record<string, string | number>;
}

/** Times pieces of work. Work may be async; its span then ends when it has settled. */
export interface Tracer {
  span<R>(name: string, work: () => R, track?: string): R;
}

/** Times nothing. */
export const noTrace: Tracer = { span: (_, work) => work() };

export const TRAINING_TRACK = 'training loop';

/** Keeps the spans of everything that goes through it. */
export class SpanRecorder implements Tracer {
  readonly spans: Span[] = [];

  span<R>(name: string, work: () => R, track = TRAINING_TRACK): R {
    const begin = performance.now();
    const ended = (): void => void this.spans.push({ track, name, begin, end: performance.now() });
    let result: R;
    try {
      result = work();
    } catch (error) {
      ended();
      throw error;
    }
    if (result instanceof Promise) return result.finally(ended) as R;
    ended();
    return result;
  }
}

/** Spans that overlap [from, to], cut to it. */
export function clipSpans<S extends { begin: number; end: number }>(spans: readonly S[], from: number, to: number): S[] {
  return spans
    .filter(({ begin, end }) => end >= from && begin <= to)
    .map((span) => ({ ...span, begin: Math.max(span.begin, from), end: Math.min(span.end, to) }));
}

/** ms of [from, to] that lie in no span. */
export function idleTime(spans: readonly { begin: number; end: number }[], from: number, to: number): number {
  let [idle, reached] = [0, from];
  for (const { begin, end } of clipSpans(spans, from, to).sort((a, b) => a.begin - b.begin)) {
    idle += Math.max(0, begin - reached);
    reached = Math.max(reached, end);
  }
  return idle + Math.max(0, to - reached);
}

const CPU = 1;
const GPU = 2;

interface TraceEvent {
  name: string;
  ph: 'X' | 'M';
  pid: number;
  tid: number;
  /** µs. */
  ts?: number;
  dur?: number;
  cat?: string;
  args?: Record<string, string | number>;
}

export interface TraceContent {
  spans: readonly Span[];
  dispatches: readonly DispatchTime[];
  /** Name of the GPU's adapter. */
  adapter: string;
  /** Said of the whole trace. */
  notes: Record<string, string | number>;
}

/** The trace as JSON: complete events in the order of their beginnings, the first at 0; process 1 the CPU, process 2 the GPU. */
export function chromeTrace({ spans, dispatches, adapter, notes }: TraceContent): string {
  const origin = Math.min(...spans.map(({ begin }) => begin), ...dispatches.slice(0, 1).map(({ begin }) => begin));
  const names: TraceEvent[] = [name('process_name', CPU, 0, 'CPU'), name('process_name', GPU, 0, `GPU: ${adapter}`)];
  const events: TraceEvent[] = [];
  const add = (pid: number, all: readonly Span[], cat: string): void => {
    let tid = 0;
    for (const track of new Set(all.map(({ track }) => track))) {
      lanes(all.filter((span) => span.track === track)).forEach((lane, index) => {
        names.push(name('thread_name', pid, ++tid, index ? `${track} (${index + 1})` : track));
        for (const { name, begin, end, args } of lane) {
          // Of rounded ends: a span that ends where the next begins does so in the file too.
          const from = nanos(begin - origin);
          events.push({ name, cat, ph: 'X', pid, tid, ts: from / 1e3, dur: (nanos(end - origin) - from) / 1e3, ...(args && { args }) });
        }
      });
    }
  };
  add(CPU, spans, 'cpu');
  add(GPU, dispatches.map(({ kernel, op, batch, begin, end }) => ({ track: 'dispatches', name: kernel, begin, end, args: { op, batch } })), 'gpu');
  events.sort((a, b) => a.ts! - b.ts! || b.dur! - a.dur!);
  return JSON.stringify({ displayTimeUnit: 'ms', otherData: notes, traceEvents: [...names, ...events] });
}

const nanos = (milliseconds: number): number => Math.round(milliseconds * 1e6);
const name = (kind: string, pid: number, tid: number, value: string): TraceEvent => ({ name: kind, ph: 'M', pid, tid, args: { name: value } });

/** Shares spans out so that in each row any two are apart or one within the other, as viewers need it. */
function lanes(spans: readonly Span[]): Span[][] {
  const rows: { all: Span[]; open: Span[] }[] = [];
  for (const span of [...spans].sort((a, b) => a.begin - b.begin || b.end - a.end)) {
    const row = rows.find(({ open }) => {
      while (open.length && open.at(-1)!.end <= span.begin) open.pop();
      return open.length === 0 || span.end <= open.at(-1)!.end;
    });
    if (row) {
      row.all.push(span);
      row.open.push(span);
    } else rows.push({ all: [span], open: [span] });
  }
  return rows.map(({ all }) => all);
}
