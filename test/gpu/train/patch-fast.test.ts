import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initJpegCodec } from '../../../src/data/index.ts';
import { ConvStemViT, Initializer, presets } from '../../../src/model/index.ts';
import { nodeJpegWasm } from '../../../src/platform/node-jpeg.ts';
import { patchFastSettings, patchFastSteps, runPatchFast, type PatchFastResult, type PatchScan } from '../../../src/train/index.ts';
import { gaussian, seededRandom } from '../../../src/train/sampler.ts';
import { testEngine } from '../../support/engine.ts';
import { memoryFiles } from '../../unit/data/memory-files.ts';
import { smallerPreset } from './tiny-run.ts';

let restore: () => void;
beforeAll(() => {
  initJpegCodec(nodeJpegWasm);
  restore = smallerPreset();
});
afterAll(() => restore());

/** Steps of light and dark with noise, so that JPEG changes them. */
function scans(): PatchScan[] {
  const [depth, height, width] = presets.tiny.grid.shape;
  return ['a', 'b', 'c'].map((id) => ({
    id, patientId: id, spacingMm: [5, 1, 1], warnings: [],
    patches: Array.from({ length: 3 }, (_, patch) => {
      const random = seededRandom(1, id, patch);
      return Float32Array.from({ length: depth * height * width }, (_, at) => Math.max(-1, Math.min(1, (Math.floor(at / 7) % 2 ? 0.3 : -0.6) + gaussian(random, 0, 0.1))));
    }),
  }));
}

async function run(files = memoryFiles({}), changes: Parameters<typeof patchFastSettings>[1] = {}, stopAt = Infinity): Promise<{ result: PatchFastResult; steps: number[]; notes: string[] }> {
  const engine = await testEngine();
  const vision = new ConvStemViT(new Initializer(engine, 1), presets.tiny.encoder).requireGrad(false);
  const [steps, notes]: [number[], string[]] = [[], []];
  try {
    const settings = patchFastSettings('tiny', { patchesPerScan: 3, steps: 2, batch: 2, learningRate: 1e-3, inputs: [5, 60, '8-bit'], ...changes });
    const result = await runPatchFast(engine, { vision, name: 'teacher', weights: 'abc' }, scans(), settings, {
      files, folder: 'out', adapter: 'test', onNote: (text) => notes.push(text), onStep: (done) => steps.push(done),
      checkStop: () => {
        if (steps.length >= stopAt) throw new Error('stop');
      },
    });
    return { result, steps, notes };
  } finally {
    vision.dispose();
  }
}

/** All that must not differ between two runs. */
const numbers = (result: PatchFastResult): unknown => ({ ...result, seconds: 0, folds: result.folds.map((fold) => ({ ...fold, seconds: 0 })) });

/** Generous: on SwiftShader, on a busy machine, a step takes a second. */
const limit = 300_000;

describe('runPatchFast', () => {
  it('measures every arm on scans that were not trained on', async () => {
    const { result, steps } = await run();
    const { arms, folds, differences, errorHu } = result;
    expect(folds.map(({ heldOut, trained, patches }) => ({ heldOut, trained, patches }))).toEqual([
      { heldOut: ['a'], trained: ['b', 'c'], patches: { trained: 6, heldOut: 3 } },
      { heldOut: ['b'], trained: ['a', 'c'], patches: { trained: 6, heldOut: 3 } },
      { heldOut: ['c'], trained: ['a', 'b'], patches: { trained: 6, heldOut: 3 } },
    ]);
    expect(steps).toEqual(Array.from({ length: patchFastSteps(result.settings, 3) }, (_, n) => n + 1));
    const cell = (arm: string, at: number): NonNullable<PatchFastResult['arms'][0]['cells'][0]['measures']['gram']>[] => {
      const { measures } = arms.find((each) => each.arm === arm)!.cells[at]!;
      return [measures.featureCosine!, measures.centredCosine!, measures.gram!];
    };
    // Harder compression is farther from the teacher, and the teacher on grey levels all but itself.
    const [low, high, grey] = [0, 1, 2].map((at) => cell('compression', at).map(({ mean }) => mean)) as [number[], number[], number[]];
    expect(low[0]).toBeLessThan(high[0]!);
    expect(high[0]).toBeLessThan(grey[0]!);
    expect(grey[0]).toBeGreaterThan(0.999);
    expect(low[2]).toBeGreaterThan(high[2]!);
    expect(errorHu[0]!.mean).toBeGreaterThan(errorHu[1]!.mean);
    // 8 bits over 2000 HU: uniform within a level, 7.84/√12 HU.
    expect(errorHu[2]!.mean).toBeCloseTo(2.26, 1);
    expect(arms.find(({ arm }) => arm === 'untrained')!.cells[0]!.measures.pooledCosine).toBeNull();
    expect(cell('untrained', 0)[0]!.mean).toBeLessThan(0.5);
    const difference = differences.find(({ arm }) => arm === 'fast')!.cells[0]!.measures.gram!;
    expect(difference.mean).toBeCloseTo(cell('fast', 0)[2]!.mean - cell('compression', 0)[2]!.mean, 10);
  }, limit);

  it('goes on after the folds that are done, with the same result, and refuses those of another run', async () => {
    const files = memoryFiles({});
    const short: Parameters<typeof patchFastSettings>[1] = { arms: ['compression', 'fast'], inputs: [5] };
    const whole = await run(memoryFiles({}), short);
    const perFold = whole.steps.length / 3;
    await expect(run(files, short, perFold + 1)).rejects.toThrow('stop');
    expect(await files.exists('out/fold-1.json')).toBe(true);
    expect(await files.exists('out/fold-2.json')).toBe(false);
    const rest = await run(files, short);
    expect(rest.notes).toEqual(['fold 1 of 3 is done already: out/fold-1.json']);
    expect(rest.steps).toHaveLength(2 * perFold);
    expect(numbers(rest.result)).toEqual(numbers(whole.result));
    await expect(run(files, { ...short, learningRate: 2e-3 })).rejects.toThrow('out/fold-1.json: is of a run with other settings');
  }, limit);

  it('brings the student nearer to its teacher on a scan that it has not seen', async () => {
    const { result } = await run(memoryFiles({}), { steps: 40, batch: 4, learningRate: 3e-3, trainQuality: [5, 5], inputs: [5], folds: 2 });
    const gram = (arm: string): number => result.arms.find((each) => each.arm === arm)!.cells[0]!.measures.gram!.mean;
    expect(gram('fast')).toBeLessThan(gram('compression'));
    expect(gram('fast-fresh')).toBeLessThan(gram('untrained') / 1.5);
    expect(result.folds.every(({ loss }) => loss['fast-fresh']!.last < loss['fast-fresh']!.first)).toBe(true);
  }, limit);
});
