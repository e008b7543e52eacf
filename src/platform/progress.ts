/** Progress of a long job: a bar with facts on a terminal, a plain line now and then in a log file or a pipe. */
import cliProgress from 'cli-progress';

/** What stands beside the bar. What is not given stays out. */
export interface ProgressFacts {
  /** Where the job stands, for example "distil 120/400". */
  stage?: string;
  loss?: number;
  volumesPerSecond?: number;
  /** GPU memory in use, in bytes. */
  gpuBytes?: number;
}

export interface Progress {
  /** `done` of `total` units are finished. Facts that are left out keep their last value. */
  update(done: number, facts?: ProgressFacts): void;
  /** Prints a line above the bar. */
  note(text: string): void;
  /** Prints the last state and gives the terminal back. Harmless twice. */
  stop(): void;
}

export interface ProgressOptions {
  title: string;
  /** Units of the whole job, for example optimiser steps. */
  total: number;
  /** Units that were finished earlier (a resumed run): the ETA counts from there. */
  start?: number;
  stream?: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  /** Shortest time between two plain lines, in ms. */
  intervalMs?: number;
  /** The clock, in ms. Tests pass their own. */
  now?: () => number;
}

const BAR_CELLS = 20;
/** A rate over the whole job would answer slowly where stages differ in speed: half-life of the smoothed rate, in seconds. */
const RATE_HALF_LIFE_S = 20;

export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.round(seconds));
  const pad = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

function formatFacts({ stage, loss, volumesPerSecond, gpuBytes }: ProgressFacts): string[] {
  const facts: string[] = [];
  if (stage !== undefined) facts.push(stage);
  if (loss !== undefined) facts.push(`loss ${Number.isFinite(loss) ? loss.toPrecision(4) : String(loss)}`);
  if (volumesPerSecond !== undefined) facts.push(`${volumesPerSecond.toPrecision(3)} volumes/s`);
  if (gpuBytes !== undefined) facts.push(`GPU ${(gpuBytes / 2 ** 20).toFixed(0)} MiB`);
  return facts;
}

/** Seconds to the end, from an exponentially smoothed rate. */
function etaClock(total: number, start: number, now: () => number) {
  let [lastDone, lastTime, unitsPerSecond] = [start, now(), NaN];
  return {
    update(done: number) {
      const [time, units] = [now(), done - lastDone];
      const seconds = (time - lastTime) / 1000;
      if (units <= 0 || seconds <= 0) return;
      const keep = Number.isNaN(unitsPerSecond) ? 0 : 0.5 ** (seconds / RATE_HALF_LIFE_S);
      unitsPerSecond = keep * (Number.isNaN(unitsPerSecond) ? 0 : unitsPerSecond) + (1 - keep) * (units / seconds);
      [lastDone, lastTime] = [done, time];
    },
    remaining: () => Math.max(0, (total - lastDone) / unitsPerSecond - (now() - lastTime) / 1000),
  };
}

interface State {
  done: number;
  facts: ProgressFacts;
}

/** The bar, drawn by cli-progress. Its MultiBar (with one bar) is what can print lines above a bar without garbling. */
function barOn(stream: NodeJS.WritableStream, title: string, total: number, start: number, state: State, eta: () => number) {
  const bars = new cliProgress.MultiBar({
    stream,
    fps: 5,
    barsize: BAR_CELLS,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    // Leaves the terminal's settings alone (lines are cut to its width instead): a killed run must not leave it without wrapping.
    linewrap: true,
    // A bar is otherwise drawn only when its text changed, but a note has just taken the bar's line.
    forceRedraw: true,
    // The trainer itself answers Ctrl-C.
    gracefulExit: false,
    format: (options, { progress, maxWidth }) => {
      const filled = Math.floor(progress * BAR_CELLS);
      const bar = options.barCompleteString!.slice(0, filled) + options.barIncompleteString!.slice(0, BAR_CELLS - filled);
      const left = state.done >= total ? 'done' : `ETA ${formatSeconds(eta())}`;
      const line = [`${title} ${bar} ${state.done}/${total}`, left, ...formatFacts(state.facts)].join(' · ');
      // The last column stays free: some terminals wrap when it is written, and a wrapped bar is not redrawn in place.
      return line.slice(0, maxWidth - 1);
    },
  });
  const bar = bars.create(total, start);
  // At once, not at the next tick, so that a note keeps its place among what is printed after it.
  const redraw = () => bars.update();
  redraw();
  return {
    update: () => bar.update(state.done),
    note: (text: string) => {
      bars.log(`${text}\n`);
      redraw();
    },
    stop: () => {
      bar.update(state.done);
      redraw();
      bars.stop();
    },
  };
}

/** Plain lines: at the first update, then one per interval, and the last state. */
function linesOn(stream: NodeJS.WritableStream, title: string, total: number, state: State, eta: () => number, intervalMs: number, now: () => number) {
  const started = now();
  let [lastTime, lastLine] = [-Infinity, ''];
  const write = () => {
    const percent = total > 0 ? Math.floor((100 * state.done) / total) : 100;
    const time = state.done >= total ? `${formatSeconds((now() - started) / 1000)} in all` : `ETA ${formatSeconds(eta())}`;
    const line = [`${title} ${state.done}/${total} (${percent} %)`, time, ...formatFacts(state.facts)].join(' · ');
    if (line !== lastLine) stream.write(`${line}\n`);
    [lastTime, lastLine] = [now(), line];
  };
  return {
    update: () => {
      if (now() - lastTime >= intervalMs) write();
    },
    note: (text: string) => void stream.write(`${text}\n`),
    stop: write,
  };
}

/**
 * Starts a progress display on `stream` (standard error where none is given): a bar on a terminal, plain lines elsewhere.
 * While it runs, print through `note` only, and `stop` it in a `finally`: a bar's timer keeps the process alive.
 */
export function createProgress({ title, total, start = 0, stream = process.stderr, intervalMs = 5000, now = Date.now }: ProgressOptions): Progress {
  const state: State = { done: start, facts: {} };
  const clock = etaClock(total, start, now);
  const display = stream.isTTY
    ? barOn(stream, title, total, start, state, clock.remaining)
    : linesOn(stream, title, total, state, clock.remaining, intervalMs, now);
  let stopped = false;
  return {
    update(done, facts = {}) {
      if (stopped) return;
      state.done = done;
      Object.assign(state.facts, facts);
      clock.update(done);
      display.update();
    },
    note(text) {
      if (stopped) stream.write(`${text}\n`);
      else display.note(text);
    },
    stop() {
      if (stopped) return;
      stopped = true;
      display.stop();
    },
  };
}
