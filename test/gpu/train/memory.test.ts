import { describe, expect, it } from 'vitest';
import { noGrad, ops, type Engine } from '../../../src/autograd/index.ts';
import { OutOfMemoryError } from '../../../src/engine/index.ts';
import { Bert, ConvStemViT, Initializer, NO_MEASURES, presets, type MemoryMeasures } from '../../../src/model/index.ts';
import { greyToValues } from '../../../src/data/index.ts';
import { uploadGrey } from '../../../src/train/upload-volumes.ts';
import { countMemory, textBounds, type MemoryCount } from '../../../src/train/index.ts';
import type { TrainConfig } from '../../../src/train/config.ts';
import { randomArray } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';
import { tinyCohort, tinyConfig, tinyRun } from './tiny-run.ts';

const variants: [string, Partial<MemoryMeasures>][] = [
  ['no measures', {}],
  ['checkpointed blocks', { checkpointBlocks: true }],
  ['a stem in 2 slabs', { stemSlabs: 2 }],
  ['a stem in 3 slabs, the last of them smaller', { stemSlabs: 3 }],
  ['all measures', { checkpointBlocks: true, stemSlabs: 4, textParts: 4, fusedAttention: true }],
];

/** Counts what `tinyRun` of `config` takes. */
function count(engine: Engine, config: TrainConfig, measures: Partial<MemoryMeasures>): Promise<MemoryCount> {
  const run = tinyRun(engine, { config });
  const scans = tinyCohort().scans.filter(({ split }) => split === 'train');
  const volumes = Math.min(config.virtualBatch ?? config.batch, scans.length);
  const { tokenizer, position } = run.state;
  return countMemory(engine, { config, position, volumes, has: { teacher: false, student: false, projectors: false }, vocabularySize: tokenizer.vocabularySize, texts: textBounds(scans, tokenizer, config.text, volumes) }, { ...NO_MEASURES, ...measures });
}

const { canF16 } = (await testEngine()).device;

describe('the count of a run', () => {
  const runs: [string, Partial<TrainConfig>, Partial<MemoryMeasures>][] = [
    ...variants.map(([name, measures]): [string, Partial<TrainConfig>, Partial<MemoryMeasures>] => [name, {}, measures]),
    ['a virtual batch', { batch: 1, virtualBatch: 4 }, {}],
    ...(canF16 ? [['half precision', { precision: 'f16', measures: { ...NO_MEASURES, checkpointBlocks: true, stemSlabs: 2 } }, { checkpointBlocks: true, stemSlabs: 2 }] as [string, Partial<TrainConfig>, Partial<MemoryMeasures>]] : []),
    ['heads alone trained', { trainable: 'heads', stages: { align: { steps: 2, learningRate: 1e-3 } } }, { checkpointBlocks: true }],
  ];
  /** One device for all, which compiles each kernel once. Nothing else is on it. */
  let opened: Promise<Engine> | null = null;
  const emptyEngine = async (): Promise<Engine> => {
    const engine = await (opened ??= openTestEngine());
    expect(engine.memory.liveBuffers).toBe(0);
    engine.device.pool.resetPeak();
    return engine;
  };

  it.each(runs)('is what its pool measures: %s', async (_, changes, measures) => {
    const engine = await emptyEngine();
    const config = tinyConfig({ ...changes, measures: { ...NO_MEASURES, ...measures } });
    const { peakBytes, weightBytes, optimizerBytes, gradientBytes, activationBytes } = await count(engine, config, measures);
    const run = tinyRun(engine, { config });
    expect(await run.train()).toBe('finished');
    expect(engine.memory.peakBytes / peakBytes).toBeGreaterThan(0.95);
    expect(engine.memory.peakBytes / peakBytes).toBeLessThan(1.05);
    expect(weightBytes + optimizerBytes + gradientBytes + activationBytes).toBe(peakBytes);
    run.dispose();
  });

  it('is the least budget that the run keeps within', async () => {
    const { peakBytes } = await count(await emptyEngine(), tinyConfig(), { checkpointBlocks: true });
    const outcome = async (budget: number): Promise<string> => {
      const engine = await emptyEngine();
      engine.device.pool.budget = budget;
      const run = tinyRun(engine, { config: tinyConfig({ measures: { ...NO_MEASURES, checkpointBlocks: true } }) });
      try {
        return await run.train();
      } finally {
        engine.device.pool.budget = Infinity;
        run.dispose();
      }
    };
    expect(await outcome(peakBytes)).toBe('finished');
    await expect(outcome(0.95 * peakBytes)).rejects.toThrow(OutOfMemoryError);
  });

  it('shrinks with each measure', async () => {
    const engine = await testEngine();
    const config = tinyConfig({ batch: 4 });
    const peak = async (measures: Partial<MemoryMeasures>): Promise<number> => (await count(engine, config, measures)).peakBytes;
    const none = await peak({});
    const checkpointed = await peak({ checkpointBlocks: true });
    expect(checkpointed).toBeLessThan(none);
    const slabbed = await peak({ checkpointBlocks: true, stemSlabs: 4 });
    expect(slabbed).toBeLessThan(checkpointed);
    if (canF16) expect((await count(engine, { ...config, precision: 'f16' }, { checkpointBlocks: true, stemSlabs: 4 })).peakBytes).toBeLessThan(slabbed);
  });
});

describe('an encoder with measures', () => {
  /** Tokens, and gradients of all parameters. */
  async function run(engine: Engine, measures: Partial<MemoryMeasures>): Promise<{ features: Float32Array; gradients: Map<string, Float32Array> }> {
    const encoder = new ConvStemViT(new Initializer(engine, 3), presets.tiny.encoder);
    encoder.measures = { ...NO_MEASURES, ...measures };
    const shape = [2, 1, ...presets.tiny.grid.shape];
    const size = shape.reduce((product, extent) => product * extent, 1);
    const result = await engine.scope(async () => {
      const { taps, pooled } = encoder.forward(engine.tensor(Float32Array.from(randomArray(size, 1)), shape));
      const features = taps[1].features;
      const weights = engine.tensor(Float32Array.from(randomArray(features.size, 2)), features.shape);
      await ops.add(ops.sum(ops.mul(features, weights)), ops.sum(ops.mul(pooled, pooled))).backward();
      const gradients = new Map<string, Float32Array>();
      for (const [name, { grad }] of encoder.namedParameters()) gradients.set(name, (await grad!.toArray()) as Float32Array);
      return { features: (await features.toArray()) as Float32Array, gradients };
    });
    encoder.dispose();
    return result;
  }

  it.each(variants.slice(1))('computes the same: %s', async (_, measures) => {
    const engine = await testEngine();
    const plain = await run(engine, {});
    const { liveBuffers } = engine.memory;
    const measured = await run(engine, measures);
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(liveBuffers);
    // Fused attention sums in another order, and layerNorm carries that on.
    if (!measures.fusedAttention) expect(Buffer.compare(Buffer.from(measured.features.buffer), Buffer.from(plain.features.buffer)), 'features, bit for bit').toBe(0);
    else expect(distance(measured.features, plain.features)).toBeLessThan(1e-5);
    for (const [name, gradient] of measured.gradients) {
      if (name === 'pool.score.bias') continue; // a softmax does not see it: its gradient is rounding alone
      expect(distance(gradient, plain.gradients.get(name)!), name).toBeLessThan(1e-4);
    }
  });

  it('widens grey levels slab by slab as it widens them at once', async () => {
    const engine = await testEngine();
    const encoder = new ConvStemViT(new Initializer(engine, 3), presets.tiny.encoder).requireGrad(false);
    const shape = [2, 1, ...presets.tiny.grid.shape];
    const grey = Uint8Array.from({ length: shape.reduce((product, extent) => product * extent, 1) }, (_, at) => (at * 97) % 256);
    const pooled = async (stemSlabs: number): Promise<Float32Array> => {
      encoder.measures = { ...NO_MEASURES, stemSlabs };
      return engine.scope(async () => (await encoder.forward(uploadGrey(engine, grey, shape)).pooled.toArray()) as Float32Array);
    };
    const whole = await pooled(1);
    expect(await pooled(3)).toEqual(whole);
    encoder.measures = NO_MEASURES;
    const values = await engine.scope(async () => (await encoder.forward(engine.tensor(Float32Array.from(grey, (level) => greyToValues(Uint8Array.of(level))[0]!), shape)).pooled.toArray()) as Float32Array);
    expect(values).toEqual(whole);
    encoder.dispose();
  });

  it('reads texts in parts and with checkpointed layers as it reads them at once', async () => {
    const engine = await testEngine();
    const bert = new Bert(new Initializer(engine, 5), presets.tiny.text, 40);
    const texts = { ids: Uint32Array.from({ length: 5 * 7 }, (_, at) => (at * 11) % 40), lengths: [7, 3, 6, 2, 7], batch: 5, tokens: 7 };
    const read = async (measures: Partial<MemoryMeasures>): Promise<Float32Array[]> => {
      bert.measures = { ...NO_MEASURES, ...measures };
      return engine.scope(async () => {
        const y = bert.forward(texts);
        await ops.sum(ops.mul(y, engine.tensor(Float32Array.from(randomArray(y.size, 4)), y.shape))).backward();
        const read = [(await y.toArray()) as Float32Array];
        for (const tensor of bert.namedParameters().values()) {
          read.push((await tensor.grad!.toArray()) as Float32Array);
          tensor.zeroGrad();
        }
        return read;
      });
    };
    const plain = await read({});
    const parts = await read({ textParts: 2, checkpointBlocks: true, fusedAttention: true });
    const names = ['features', ...bert.namedParameters().keys()];
    // A softmax does not see what its keys have in common: those gradients are rounding alone.
    parts.forEach((values, at) => names[at]!.endsWith('key.bias') || expect(distance(values, plain[at]!), names[at]).toBeLessThan(1e-4));
    bert.dispose();
  });

  it('records nothing where nothing is trained', async () => {
    const engine = await testEngine();
    const encoder = new ConvStemViT(new Initializer(engine, 3), presets.tiny.encoder).requireGrad(false);
    encoder.measures = { ...NO_MEASURES, checkpointBlocks: true, stemSlabs: 2 };
    engine.scope(() => {
      const x = engine.zeros([1, 1, ...presets.tiny.grid.shape]);
      expect(encoder.forward(x).pooled.requiresGrad).toBe(false);
      expect(noGrad(() => encoder.forward(x)).pooled.requiresGrad).toBe(false);
    });
    encoder.dispose();
  });
});

/** ‖a − b‖ / ‖b‖. */
function distance(a: Float32Array, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (let at = 0; at < b.length; at++) {
    difference += (a[at]! - b[at]!) ** 2;
    norm += b[at]! ** 2;
  }
  return Math.sqrt(difference / norm);
}
