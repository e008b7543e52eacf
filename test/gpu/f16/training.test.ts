import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkpoint, noGrad, ops, type Engine } from '../../../src/autograd/index.ts';
import { lossScaleStepReference } from '../../../src/autograd/ops/loss-scale.ts';
import { ConvStemViT } from '../../../src/model/encoder.ts';
import { Initializer, presets } from '../../../src/model/index.ts';
import { CHECKPOINT_FILE, decodeSafetensors, DivergedError, globalStepOf, METRICS_FILE, type StepRecord, type TrainConfig } from '../../../src/train/index.ts';
import { GROWTH_INTERVAL, LossScaler } from '../../../src/train/loss-scale.ts';
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
    run.state.lossScale = new LossScaler(engine, { scale: 2 ** 24, goodSteps: 5 });
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

  describe('that overflows in the middle', () => {
    // Doubled after three steps the scale is too large for these gradients, which the small learning rate keeps as they are.
    const start = { scale: 2 ** 13, goodSteps: GROWTH_INTERVAL - 3 };
    const stages = { teacher: { steps: 9, learningRate: 1e-5 }, fast: { steps: 3, learningRate: 5e-4 }, align: { steps: 3, learningRate: 5e-4 } };
    let restore: () => void;
    beforeEach(() => void (restore = smallerPreset()));
    afterEach(() => restore());
    const open = async (changes: Partial<TrainConfig> = {}): Promise<TinyRun> => {
      const engine = await testEngine();
      const run = tinyRun(engine, { config: tinyConfig({ ...half, batch: 4, stages, ...changes }) });
      run.state.lossScale = new LossScaler(engine, start);
      return run;
    };
    const drawn = (records: StepRecord[]): object[] => records.map(({ seconds: _seconds, volumesPerSecond: _rate, gpuBytes: _bytes, ...record }) => record);
    const contents = (checkpoint: Uint8Array): object => {
      const { tensors, metadata } = decodeSafetensors(checkpoint, 'checkpoint');
      const { config: _config, ...rest } = metadata;
      return { tensors, rest };
    };

    it.each([['whole batches', {}], ['a virtual batch', { batch: 2, virtualBatch: 4 }]] as [string, Partial<TrainConfig>][])('submits each step before it knows whether the one before was taken, with the bits of a run that knows: %s', async (_, changes) => {
      const eager = await open(changes);
      const ahead: number[] = [];
      await eager.train(Infinity, ({ globalStep }) => void ahead.push(globalStepOf(eager.state) - globalStep));
      expect(ahead).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0]);
      const records = await eager.records();
      const skipped = records.map((record) => record.skipped === true);
      const isInTheMiddle = skipped.slice(1, 8).some((here, at) => here && !skipped[at]! && !skipped[at + 2]!);
      expect(isInTheMiddle, `skipped: ${skipped.join()}`).toBe(true);
      const grown = records.some(({ lossScale }, at) => at > 0 && lossScale! > records[at - 1]!.lossScale!);
      expect(grown, records.map(({ lossScale }) => lossScale).join()).toBe(true);

      const patient = await open({ ...changes, checkpointEvery: 1 });
      const known: number[] = [];
      await patient.train(Infinity, ({ globalStep }) => void known.push(globalStepOf(patient.state) - globalStep));
      expect(known).toEqual(ahead.map(() => 0));
      expect(drawn(await patient.records())).toEqual(drawn(records));
      const read = async ({ files }: TinyRun): Promise<object> => contents(await files.readFile(`${folder}/${CHECKPOINT_FILE}`));
      expect(await read(patient)).toEqual(await read(eager));
      for (const run of [eager, patient]) run.dispose();
    });

    it('counts the steps that were taken, goes on with the scale that follows, and frees what it took', async () => {
      const engine = await testEngine();
      const before = engine.memory.liveBuffers;
      const run = await open({ stages: { teacher: stages.teacher } });
      const { records, checkpoint } = await finished(run);
      const { tensors, metadata } = decodeSafetensors(checkpoint, 'checkpoint');
      const taken = records.filter((record) => !record.skipped).length;
      expect(taken).toBeLessThan(records.length);
      expect(Number(metadata.optimizerSteps)).toBe(taken);
      const counts = Object.entries(tensors).filter(([name]) => name.endsWith('.step'));
      expect(counts.length).toBeGreaterThan(10);
      for (const [name, { data }] of counts) expect([...data], name).toEqual([taken]);
      let expected = [start.scale, start.goodSteps, 0] as [number, number, number];
      for (const { lossScale, skipped } of records) {
        expect(lossScale).toBe(expected[0]);
        expected = lossScaleStepReference(skipped ? NaN : 1, expected, { clip: 1, growthInterval: GROWTH_INTERVAL, least: 1, most: 2 ** 126 }).state;
      }
      expect(JSON.parse(metadata.lossScale!)).toEqual({ scale: expected[0], goodSteps: expected[1] });
      run.dispose();
      expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
    });

    it.each([1, 2, 3])('stopped after every %i steps and resumed, ends in the same checkpoint bit for bit', async (stopAfter) => {
      const whole = await finished(await open());
      const broken = await finished(await open(), stopAfter);
      expect(drawn(broken.records)).toEqual(drawn(whole.records));
      expect(Buffer.compare(broken.checkpoint, whole.checkpoint)).toBe(0);
      for (const { run } of [whole, broken]) run.dispose();
    });

    it('killed after the overflow, with the next step on the GPU, goes on from the checkpoint before', async () => {
      const whole = await open({ checkpointEvery: 3 });
      await whole.train();
      const expected = drawn(await whole.records());
      const overflow = (await whole.records()).find(({ skipped, globalStep }) => skipped && globalStep > 3)!.globalStep;
      expect(overflow % 3, 'in the middle between two checkpoints').toBe(1);
      whole.dispose();
      for (const killedAt of [overflow, overflow + 1, overflow + 2]) {
        const first = await open({ checkpointEvery: 3 });
        await expect(first.train(Infinity, ({ globalStep }) => {
          if (globalStep === killedAt) throw new Error('killed');
        })).rejects.toThrow('killed');
        first.dispose();
        const again = await first.reopened();
        expect(globalStepOf(again.state)).toBe(overflow - 1);
        expect(await again.train()).toBe('finished');
        expect(drawn(await again.records())).toEqual(expected);
        again.dispose();
      }
    });
  });

  it('skipped, a step changes no weight but the biases that centre the heads', async () => {
    const restore = smallerPreset();
    const run = tinyRun(await testEngine(), { config: tinyConfig({ ...half, batch: 2, stages: { teacher: { steps: 2, learningRate: 1e-3 } }, checkpointEvery: 1 }) });
    run.state.lossScale = new LossScaler(await testEngine(), { scale: 2 ** 40, goodSteps: 0 });
    await run.train(1);
    const before = await run.files.readFile(`${folder}/${CHECKPOINT_FILE}`);
    const again = await run.reopened();
    expect(await again.state.lossScale!.read()).toEqual({ scale: 2 ** 39, goodSteps: 0 });
    await again.train();
    const after = await run.files.readFile(`${folder}/${CHECKPOINT_FILE}`);
    // Two volumes are too few to centre by: all tensors, which follow the header, are as they were.
    const tensors = (file: Uint8Array): Buffer => Buffer.from(file.subarray(8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))));
    expect(tensors(after).equals(tensors(before))).toBe(true);
    run.dispose();
    again.dispose();
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
    run.dispose();
    // Saved after every step, and with the third on the GPU when the second is known.
    for (const checkpointEvery of [1, 100]) {
      const again = await run.reopened();
      again.state.config.checkpointEvery = checkpointEvery;
      again.state.lossScale = new LossScaler(engine, { scale: 1, goodSteps: 0 });
      again.state.teacher!.logScale.write(new Float32Array([20])); // the loss grows by e^18, and stays finite
      const values = async (): Promise<number[][]> => Promise.all([...again.state.teacher!.namedParameters().values()].map(async (parameter) => [...(await parameter.toArray())]));
      const before = await values();
      const failure = await again.train().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(DivergedError);
      expect((failure as Error).message).toMatch(/step 2 \(stage teacher\): gradient norm is (NaN|-?Infinity)/);
      expect(globalStepOf(again.state)).toBe(checkpointEvery === 1 ? 2 : 3);
      expect(await values()).toEqual(before);
      expect(await again.records()).toHaveLength(1);
      again.dispose();
    }
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
