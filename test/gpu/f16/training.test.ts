import { describe, expect, it } from 'vitest';
import { checkpoint, noGrad, ops, type Engine } from '../../../src/autograd/index.ts';
import { ConvStemViT } from '../../../src/model/encoder.ts';
import { Initializer, presets } from '../../../src/model/index.ts';
import { CHECKPOINT_FILE, globalStepOf, METRICS_FILE, type StepRecord, type TrainConfig } from '../../../src/train/index.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';
import { folder, smallerPreset, tinyConfig, tinyRun, tinyVolume, type TinyRun } from '../train/tiny-run.ts';

const { device } = await testEngine();
const half: Partial<TrainConfig> = { precision: 'f16' };

async function recordsOf(engine: Engine, changes: Partial<TrainConfig>): Promise<StepRecord[]> {
  const run = tinyRun(engine, { config: tinyConfig(changes) });
  expect(await run.train()).toBe('finished');
  const records = await run.records();
  run.dispose();
  return records;
}

/** Ends a run of a few steps with its records and checkpoint, interrupted and opened again after every `stopAfter`. */
async function finished(start: TinyRun, stopAfter = Infinity): Promise<{ records: StepRecord[]; checkpoint: Uint8Array; run: TinyRun }> {
  let run = start;
  while ((await run.train(stopAfter)) === 'interrupted') {
    run.dispose();
    run = await run.reopened();
  }
  return { records: await run.records(), checkpoint: await run.files.readFile(`${folder}/${CHECKPOINT_FILE}`), run };
}

describe.skipIf(!device.canF16)('a run in f16', () => {
  it('has the losses of the run in f32 to 1 % at each of 27 steps, over all stages', async () => {
    const engine = await testEngine();
    const stages = { teacher: { steps: 9, learningRate: 1e-3 }, fast: { steps: 9, learningRate: 5e-4 }, align: { steps: 9, learningRate: 5e-4 } };
    const expected = await recordsOf(engine, { stages });
    const found = await recordsOf(engine, { stages, ...half });
    expect(found.map(({ stage, losses }) => [stage, Object.keys(losses)])).toEqual(expected.map(({ stage, losses }) => [stage, Object.keys(losses)]));
    let [largest, differing] = [0, 0];
    found.forEach(({ losses, gradientNorm, lossScale, globalStep }, at) => {
      for (const [name, value] of Object.entries({ ...losses, gradientNorm: gradientNorm! })) {
        const inF32 = ({ ...expected[at]!.losses, gradientNorm: expected[at]!.gradientNorm! } as Record<string, number>)[name]!;
        const difference = Math.abs(value / inF32 - 1);
        expect(difference, `${name} of step ${globalStep}: ${value} in f16, ${inF32} in f32`).toBeLessThan(0.01);
        largest = Math.max(largest, difference);
        if (difference > 0) differing++;
      }
      expect(lossScale).toBe(2 ** 16);
    });
    expect(expected[0]!.lossScale).toBeUndefined();
    // Were they equal, nothing would have been stored in f16.
    expect(differing).toBeGreaterThan(100);
    expect(largest).toBeGreaterThan(1e-5);
  });

  it('leaves steps out whose gradients overflow, with half the scale each time, and says so', async () => {
    const restore = smallerPreset();
    const engine = await testEngine();
    const run = tinyRun(engine, { config: tinyConfig({ ...half, stages: { teacher: { steps: 12, learningRate: 1e-3 } } }) });
    run.state.lossScale = { scale: 2 ** 24, goodSteps: 5 };
    const { records } = await finished(run);
    const skipped = records.filter((record) => record.skipped);
    expect(skipped.length).toBeGreaterThan(0);
    expect(skipped.length).toBeLessThan(12);
    records.forEach((record, at) => expect(record.lossScale).toBe(2 ** (24 - records.slice(0, at).filter((before) => before.skipped).length)));
    for (const record of records) expect(record.gradientNorm === null).toBe(record.skipped === true);
    expect(run.notes.filter((note) => note.includes('gradients beyond f16'))).toHaveLength(skipped.length);
    expect(run.notes[0]).toBe('step 1: gradients beyond f16 at loss scale 16777216; no update, the scale is halved');
    const lines = new TextDecoder().decode(await run.files.readFile(`${folder}/${METRICS_FILE}`));
    expect(lines).toContain('"skipped":true');
    run.dispose();
    restore();
  });

  it('reads each step before it begins the next, since the norm decides on the update', async () => {
    const restore = smallerPreset();
    const run = tinyRun(await testEngine(), { config: tinyConfig({ ...half, stages: { teacher: { steps: 4, learningRate: 1e-3 } } }) });
    const ahead: number[] = [];
    await run.train(Infinity, ({ globalStep }) => void ahead.push(globalStepOf(run.state) - globalStep));
    expect(ahead).toEqual([0, 0, 0, 0]);
    run.dispose();
    restore();
  });

  it('skipped, a step changes no weight but the biases that centre the heads', async () => {
    const restore = smallerPreset();
    const run = tinyRun(await testEngine(), { config: tinyConfig({ ...half, batch: 2, stages: { teacher: { steps: 2, learningRate: 1e-3 } }, checkpointEvery: 1 }) });
    run.state.lossScale = { scale: 2 ** 40, goodSteps: 0 };
    await run.train(1);
    const before = await run.files.readFile(`${folder}/${CHECKPOINT_FILE}`);
    const again = await run.reopened();
    expect(again.state.lossScale).toEqual({ scale: 2 ** 39, goodSteps: 0 });
    await again.train();
    const after = await run.files.readFile(`${folder}/${CHECKPOINT_FILE}`);
    // Two volumes are too few to centre by: all tensors, which follow the header, are as they were.
    const tensors = (file: Uint8Array): Buffer => Buffer.from(file.subarray(8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))));
    expect(tensors(after).equals(tensors(before))).toBe(true);
    run.dispose();
    again.dispose();
    restore();
  });

  it('stopped and resumed each time, with skipped steps and a scale that grows, ends in the same checkpoint bit for bit', async () => {
    const restore = smallerPreset();
    const engine = await testEngine();
    const stages = { teacher: { steps: 4, learningRate: 1e-3 }, fast: { steps: 3, learningRate: 5e-4 }, align: { steps: 2, learningRate: 5e-4 } };
    const start = (): TinyRun => {
      const run = tinyRun(engine, { config: tinyConfig({ ...half, stages }) });
      run.state.lossScale = { scale: 2 ** 22, goodSteps: 1998 };
      return run;
    };
    const whole = await finished(start());
    const broken = await finished(start(), 1);
    const drawn = (records: StepRecord[]): object[] => records.map(({ seconds: _seconds, volumesPerSecond: _rate, gpuBytes: _bytes, ...record }) => record);
    expect(drawn(broken.records)).toEqual(drawn(whole.records));
    expect(Buffer.compare(broken.checkpoint, whole.checkpoint)).toBe(0);
    whole.run.dispose();
    broken.run.dispose();
    restore();
  });

  it('in parts of a virtual batch has the gradients of the whole', async () => {
    const engine = await testEngine();
    const still = 1e-12; // all steps start from the same weights
    const stages = { teacher: { steps: 1, learningRate: still }, fast: { steps: 1, learningRate: still }, align: { steps: 1, learningRate: still } };
    const whole = await recordsOf(engine, { ...half, batch: 4, stages });
    const parts = await recordsOf(engine, { ...half, batch: 3, virtualBatch: 4, stages });
    parts.forEach(({ gradientNorm, losses }, at) => {
      // Embeddings and gradients of a part are rounded as in the whole; only sums over volumes are made in another order.
      expect(gradientNorm! / whole[at]!.gradientNorm!, `gradient norm of step ${at + 1}`).toBeCloseTo(1, 3);
      expect(losses.loss! / whole[at]!.losses.loss!).toBeCloseTo(1, 4);
    });
  });

  it('stops where a loss is not a number, as in f32, and where gradients overflow unscaled', async () => {
    const restore = smallerPreset();
    const engine = await testEngine();
    const stages = { teacher: { steps: 3, learningRate: 1e-3 } };
    const bad = tinyRun(engine, { config: tinyConfig({ ...half, stages }), decode: (scan) => tinyVolume(scan).fill(NaN) });
    await expect(bad.train()).rejects.toThrow(/step 1 \(stage teacher\): loss is NaN/);
    bad.dispose();
    const run = tinyRun(engine, { config: tinyConfig({ ...half, stages, checkpointEvery: 1 }) });
    await run.train(1);
    run.state.lossScale = { scale: 1, goodSteps: 0 };
    run.state.teacher!.logScale.write(new Float32Array([20])); // the loss grows by e^18, and stays finite
    await expect(run.train()).rejects.toThrow(/step 2 \(stage teacher\): gradient norm is (NaN|Infinity)/);
    run.dispose();
    restore();
  });

  it('keeps little more than half the bytes of an encoder for its backward pass, and gives gradients in f32', async () => {
    const engine = await openTestEngine();
    const vision = new ConvStemViT(new Initializer(engine, 1), presets.tiny.encoder);
    const volume = Float32Array.from({ length: 4 * 16 * 64 * 64 }, (_, i) => Math.sin(i / 50));
    const kept: number[] = [];
    for (const precision of ['f32', 'f16'] as const) {
      vision.precision = precision;
      await engine.scope(async () => {
        const x = engine.tensor(volume, [4, 1, 16, 64, 64], { dtype: precision });
        const before = engine.memory.liveBytes - x.bytes;
        const { taps, pooled } = vision.forward(x);
        expect(taps[1].features.dtype).toBe(precision);
        expect(pooled.dtype).toBe('f32');
        kept.push(engine.memory.liveBytes - before);
        await ops.sum(pooled).backward();
      });
      for (const [name, parameter] of vision.namedParameters()) {
        expect(parameter.grad!.dtype, name).toBe('f32');
        parameter.zeroGrad();
      }
    }
    expect(kept[1]! / kept[0]!).toBeLessThan(0.6);
    engine.destroy();
  });

  it('checkpoints blocks as in f32: the same gradients in f16, bit for bit', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const x = engine.tensor(Float32Array.from({ length: 65 * 12 }, (_, i) => Math.cos(i)), [65, 12], { dtype: 'f16', requiresGrad: true });
      const body = (input: typeof x): typeof x => ops.gelu(ops.mul(input, input));
      const gradients: number[][] = [];
      for (const run of [() => body(x), () => checkpoint(body, x)]) {
        await run().backward(engine.full([65, 12], 1, { dtype: 'f16' }));
        gradients.push([...(await x.grad!.toArray())]);
        x.zeroGrad();
      }
      expect(gradients[1]).toEqual(gradients[0]);
      expect(noGrad(() => body(x)).dtype).toBe('f16');
    });
  });
});

it('a run in f16 is refused where the adapter has none, before anything is made', async () => {
  const engine = await openTestEngine();
  // What an adapter without the feature looks like; the device itself keeps it.
  Object.defineProperty(engine.device, 'canF16', { value: false });
  const run = tinyRun(engine, { config: tinyConfig(half) });
  await expect(run.train()).rejects.toThrow(/--precision f16 needs an adapter with the WebGPU feature "shader-f16", which ".+" does not offer; use --precision f32/);
  expect(run.state.teacher).toBeNull();
  engine.destroy();
});
