import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import { profileSummary, StepProfiler, type StepProfile } from '../../../src/train/index.ts';
import { expectChromeTrace } from '../../support/chrome-trace.ts';
import { openTestEngine } from '../../support/engine.ts';
import { smallerPreset, tinyConfig, tinyRun } from './tiny-run.ts';

interface Event {
  name: string;
  ph: string;
  pid: number;
  ts: number;
  dur: number;
  args: Record<string, string | number>;
}

const stages = { teacher: { steps: 4, learningRate: 1e-4 }, align: { steps: 4, learningRate: 1e-4 } };
let engine: Engine;
let restore: () => void;
beforeAll(async () => {
  restore = smallerPreset();
  engine = await openTestEngine();
});
afterAll(() => {
  restore();
  engine.destroy();
});

async function profiled(options: { warmUp?: number; steps?: number } = {}): Promise<{ profiles: StepProfile[]; losses: number[] }> {
  const run = tinyRun(engine, { config: tinyConfig({ stages, validateEvery: 2, checkpointEvery: 2 }) });
  const profiles: StepProfile[] = [];
  const profiler = new StepProfiler({ engine, adapter: 'test', onProfile: (profile) => void profiles.push(profile), ...options });
  await run.train(Infinity, undefined, profiler);
  await profiler.end();
  const losses = (await run.records()).map((record) => record.losses.loss!);
  run.dispose();
  return { profiles, losses };
}

describe('StepProfiler', () => {
  it('traces the steps after the warm-up, with what lies between them', async ({ skip }) => {
    skip(!engine.device.canProfile, 'this adapter does not offer timestamp-query');
    const { profiles, losses } = await profiled();
    const [profile] = profiles;
    expect(profiles).toHaveLength(1);
    expect(profile!.steps).toBe(5);
    const { traceEvents } = JSON.parse(profile!.trace) as { traceEvents: Event[] };
    expectChromeTrace(profile!.trace);
    const events = traceEvents.filter(({ ph }) => ph === 'X');
    const [cpu, gpu] = [1, 2].map((process) => events.filter(({ pid }) => pid === process)) as [Event[], Event[]];
    expect([...new Set(cpu.map(({ name }) => name.replace(/\d+/, 'N')))].sort()).toEqual(
      ['backward', 'checkpoint', 'forward', 'input of step N', 'metrics', 'optimiser', 'read back', 'step N', 'texts', 'validation', 'wait for input'],
    );
    events.forEach(({ ts, dur }, at) => {
      expect(ts).toBeGreaterThanOrEqual(at ? events[at - 1]!.ts : 0);
      expect(dur).toBeGreaterThanOrEqual(0);
    });

    const steps = cpu.filter(({ name }) => name.startsWith('step '));
    const wall = steps.reduce((sum, { dur }) => sum + dur, 0) / 1000;
    expect(wall).toBeCloseTo(profile!.milliseconds, 1);
    // A queue runs one dispatch after another here: their times add up to what the GPU was busy, within what the tracks span.
    const span = (Math.max(...events.map(({ ts, dur }) => ts + dur)) - events[0]!.ts) / 1000;
    const busy = gpu.reduce((sum, { dur }) => sum + dur, 0) / 1000;
    expect(busy).toBeGreaterThan(0);
    expect(busy).toBeLessThanOrEqual(span * 1.01);
    expect(profile!.gpuIdle).toBeGreaterThanOrEqual(0);
    expect(profile!.gpuIdle).toBeLessThan(profile!.milliseconds);
    expect(profile!.kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBeGreaterThanOrEqual(gpu.length);
    // A step is submitted in its own span and read, at the latest, in that of the step after it: its dispatches, those of its optimiser
    // too, lie in the two together; the clocks may be off by what the profile says.
    steps.forEach(({ ts }, at) => {
      const next = steps[at + 1];
      const own = gpu.filter((event) => event.name === 'adam-w' && event.ts >= ts - profile!.clockUncertainty * 1000 && (!next || event.ts <= next.ts + next.dur));
      expect(own.length, `optimiser of step ${at + 1} of 5`).toBeGreaterThan(0);
    });
    // 2 volumes of 8 KiB voxels: 64 KiB uncompressed in f32, and, in the three align steps, 16 KiB of grey levels beside.
    expect(profile!.uploadBytes).toBeGreaterThan(64 * 1024);
    expect(profileSummary(profile!).split('\n').length).toBeGreaterThan(10);

    const unwatched = tinyRun(engine, { config: tinyConfig({ stages, validateEvery: 2, checkpointEvery: 2 }) });
    await unwatched.train();
    expect((await unwatched.records()).map((record) => record.losses.loss!)).toEqual(losses);
    unwatched.dispose();
  });

  it('gives what there is where the run ends before, and warms up less where few steps are left', async ({ skip }) => {
    skip(!engine.device.canProfile, 'this adapter does not offer timestamp-query');
    expect((await profiled({ warmUp: 5, steps: 9 })).profiles.map(({ steps }) => steps)).toEqual([3]);
    expect((await profiled({ warmUp: 20 })).profiles.map(({ steps }) => steps)).toEqual([1]);
  });
});
