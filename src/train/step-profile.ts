/** The profile of a few steps of a run: what the GPU and the CPU did, and how long the GPU had nothing to do. */
import type { Engine } from '../autograd/index.ts';
import type { KernelTime } from '../engine/index.ts';
import { chromeTrace, clipSpans, idleTime, SpanRecorder, TRAINING_TRACK, type Span, type Tracer } from './trace.ts';

export interface StepProfile {
  steps: number;
  /** From the end of the step before each, or its beginning where that was later, to its own, in ms: without validation and checkpoints. */
  milliseconds: number;
  /** Of that, how long no dispatch ran. Copies count as idle: only dispatches have timestamps. */
  gpuIdle: number;
  /** The same by what the training loop was doing, the longest first. */
  idleDuring: { name: string; milliseconds: number }[];
  /** Over the dispatches of the trace, the dearest first. */
  kernels: KernelTime[];
  /** Bytes of tensors sent to the GPU a step. */
  uploadBytes: number;
  /** ms by which the GPU's track may lie too early. */
  clockUncertainty: number;
  /** Chrome trace. */
  trace: string;
}

export interface StepProfilerOptions {
  engine: Engine;
  /** Name of the adapter, for the trace. */
  adapter: string;
  /** Steps before the trace begins; fewer where the run has few left. Default 2: the first compile pipelines and fill the pool. */
  warmUp?: number;
  /** Steps in the trace, as many as there are. Default 5. */
  steps?: number;
  onProfile: (profile: StepProfile) => Promise<void> | void;
}

/**
 * Profiles some steps of a run, once. Needs a device with `timestamp-query`.
 *
 * The loop submits a step before the one before it has ended, so a step lasts here from the end of the one before it (or from where it was
 * begun, if that was later) to its own. The GPU is timed from one step earlier on: all that it does in the first step is then timed too.
 */
export class StepProfiler implements Tracer {
  private readonly options: Required<StepProfilerOptions>;
  private recorder: SpanRecorder | null = null;
  private warmUp: number | null = null;
  private seen = 0;
  private submitted = 0;
  private firstStep = Infinity;
  private finished = false;
  private uploadedBefore = 0;
  private uploadBytes = 0;
  private lastEnd = 0;
  private readonly steps: { begin: number; end: number }[] = [];

  constructor(options: StepProfilerOptions) {
    this.options = { warmUp: 2, steps: 5, ...options };
  }

  span<R>(name: string, work: () => R, track = TRAINING_TRACK): R {
    return this.recorder ? this.recorder.span(name, work, track) : work();
  }

  /** Takes a span that was timed elsewhere. */
  add(span: Span): void {
    this.recorder?.spans.push(span);
  }

  /** Before a step is begun. `left`: steps that the run still has, this one included. */
  async stepBegins(globalStep: number, left: number): Promise<void> {
    const { engine, warmUp } = this.options;
    this.warmUp ??= Math.min(warmUp, left - 1);
    if (this.finished) return;
    if (!this.recorder && this.seen >= this.warmUp - 1) {
      // With nothing else to do the GPU begins at once with what it gets next, which aligns the clocks.
      await engine.sync();
      engine.device.startProfile();
      this.recorder = new SpanRecorder();
      this.uploadedBefore = engine.device.uploadedBytes;
    }
    if (this.seen === this.warmUp) this.firstStep = globalStep;
    if (this.recorder) this.submitted++;
    this.seen++;
  }

  /** The step that was begun at `started` (ms) has ended; validation and checkpoint may follow. */
  stepEnds(globalStep: number, started: number): void {
    const [begin, end] = [Math.max(started, this.lastEnd), performance.now()];
    this.lastEnd = end;
    if (!this.recorder || globalStep < this.firstStep || this.isComplete) return;
    this.steps.push({ begin, end });
    this.uploadBytes = (this.options.engine.device.uploadedBytes - this.uploadedBefore) / this.submitted;
    this.add({ track: TRAINING_TRACK, name: `step ${this.steps.length}`, begin, end });
  }

  /** Between two steps: gives the profile where it has all its steps. */
  async afterStep(): Promise<void> {
    if (this.isComplete) await this.end();
  }

  private get isComplete(): boolean {
    return this.steps.length === this.options.steps;
  }

  /** Gives the profile of what was traced so far, where it has not been given. */
  async end(): Promise<void> {
    const { recorder } = this;
    if (!recorder) return;
    this.recorder = null;
    this.finished = true;
    const { engine, adapter, onProfile } = this.options;
    const { uploadBytes } = this;
    const [first, last] = [this.steps[0], this.steps.at(-1)];
    const { dispatches: timed, kernels, clockUncertainty } = await engine.device.stopProfile({ from: first?.begin ?? 0, until: last?.end ?? 0 });
    if (!first || !last) return;
    const dispatches = clipSpans(timed, first.begin, last.end);
    const spans = clipSpans(recorder.spans, first.begin, last.end);
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    const milliseconds = sum(this.steps.map(({ begin, end }) => end - begin));
    const gpuIdle = sum(this.steps.map(({ begin, end }) => idleTime(dispatches, begin, end)));
    const notes = { steps: this.steps.length, gpuIdleShare: gpuIdle / milliseconds, clockUncertaintyMs: clockUncertainty, uploadBytesPerStep: uploadBytes };
    await onProfile({
      steps: this.steps.length, milliseconds, gpuIdle, kernels, uploadBytes, clockUncertainty,
      idleDuring: idleByActivity(spans, dispatches),
      trace: chromeTrace({ spans, dispatches, adapter, notes }),
    });
  }
}

/** GPU idle time within the spans of the training loop that contain no other and belong to a step. */
function idleByActivity(spans: readonly Span[], dispatches: readonly { begin: number; end: number }[]): StepProfile['idleDuring'] {
  const loop = spans.filter(({ track }) => track === TRAINING_TRACK);
  const steps = loop.filter(({ name }) => name.startsWith('step '));
  const within = (inner: Span, outer: Span): boolean => inner !== outer && inner.begin >= outer.begin && inner.end <= outer.end;
  const totals = new Map<string, number>();
  for (const span of loop) {
    if (!steps.some((step) => within(span, step)) || loop.some((other) => within(other, span))) continue;
    totals.set(span.name, (totals.get(span.name) ?? 0) + idleTime(dispatches, span.begin, span.end));
  }
  return [...totals].map(([name, milliseconds]) => ({ name, milliseconds })).sort((a, b) => b.milliseconds - a.milliseconds);
}

const KERNELS_SHOWN = 10;

/** What a person wants to know of a profile, in lines. */
export function profileSummary({ steps, milliseconds, gpuIdle, idleDuring, kernels, uploadBytes, clockUncertainty }: StepProfile): string {
  const total = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;
  const shown = kernels.slice(0, KERNELS_SHOWN);
  const width = Math.max(...shown.map(({ kernel }) => kernel.length));
  const reasons = idleDuring.filter((each) => each.milliseconds > 0.01 * milliseconds).map((each) => `${each.name} ${percent(each.milliseconds, milliseconds)}`);
  return [
    `profile of ${steps} step${steps === 1 ? '' : 's'}, ${(milliseconds / steps).toFixed(0)} ms each; ${(uploadBytes / 2 ** 20).toFixed(2)} MiB sent to the GPU a step`,
    `GPU idle ${percent(gpuIdle, milliseconds)} of the time (between the ${kernels.reduce((sum, kernel) => sum + kernel.dispatches, 0)} dispatches too)${reasons.length ? `; while the training loop was at: ${reasons.join(', ')}` : ''}`,
    ...shown.map(({ kernel, milliseconds: time, dispatches }) => `  ${kernel.padEnd(width)}  ${time.toFixed(1).padStart(9)} ms  ${percent(time, total).padStart(6)}  ${String(dispatches).padStart(6)} dispatches`),
    `  clocks of GPU and CPU aligned to within ${clockUncertainty.toFixed(2)} ms`,
  ].join('\n');
}
