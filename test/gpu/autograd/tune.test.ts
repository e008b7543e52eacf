import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ops, type Engine, type PlanDecision, type Tensor, type TunedPlan } from '../../../src/autograd/index.ts';
import { subgroupMatrixKernel } from '../../../src/autograd/ops/matmul-kernels.ts';
import type { TuningStore } from '../../../src/engine/index.ts';
import { relativeError, randomArray } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';
import { HALF_ROUNDING } from '../../support/op-test.ts';

/** Of f16 operands. */
const hasMatrixUnits = subgroupMatrixKernel((await testEngine()).device, 'f16') !== null;

/** A bit of everything that has plans, at odd and at even sizes: value and gradients as one list. */
async function work(engine: Engine): Promise<Float32Array[]> {
  return engine.scope(async () => {
    let seed = 0;
    const leaves: Tensor[] = [];
    const leaf = (shape: number[]): Tensor => {
      const tensor = engine.tensor(Float32Array.from(randomArray(shape.reduce((a, b) => a * b), ++seed)), shape, { requiresGrad: true });
      leaves.push(tensor);
      return tensor;
    };
    const results = [
      ops.linear(leaf([65, 36]), leaf([20, 36]), leaf([20])),
      ops.linear(leaf([6, 63]), leaf([5, 63]), null, { activation: 'gelu' }),
      ops.matmul(leaf([3, 24, 8]), leaf([3, 8, 12])),
      ops.layerNorm(leaf([33, 64]), leaf([64]), leaf([64])),
      ops.layerNorm(leaf([33, 63]), leaf([63]), leaf([63])),
      ops.normalize(leaf([9, 130])),
      ops.conv3d(leaf([2, 3, 5, 7, 9]), leaf([16, 3, 3, 3, 3]), leaf([16]), { padding: 1, stride: 2 }),
      ops.conv3d(leaf([1, 6, 4, 5, 6]), leaf([6, 1, 3, 3, 3]), null, { padding: 1, groups: 6 }),
      ops.scaledDotProductAttention(leaf([2, 2, 33, 12]), leaf([2, 2, 33, 12]), leaf([2, 2, 33, 12])),
      ops.attentionGram(leaf([2, 40, 16]), leaf([2, 40])),
      ops.tokenEnergy(leaf([2, 40, 16])),
    ];
    const values: Float32Array[] = [];
    for (const result of results) {
      values.push((await result.toArray()) as Float32Array);
      await result.backward(engine.tensor(Float32Array.from(randomArray(result.size, ++seed)), result.shape));
    }
    for (const leaf of leaves) {
      values.push((await leaf.grad!.toArray()) as Float32Array);
      leaf.zeroGrad();
    }
    return values;
  });
}

/** Which kernels ran; none where the adapter cannot tell. */
async function kernelsOf(engine: Engine, run: () => Promise<void>): Promise<string[]> {
  if (!engine.device.canProfile) return run().then(() => []);
  return (await engine.device.profile(run)).map(({ kernel }) => kernel).sort();
}

const opOf = (key: string): string => key.split(' ')[0]!;
const differences = (got: Float32Array[], expected: Float32Array[]): number[] => got.map((values, index) => relativeError(values, Float64Array.from(expected[index]!)));
/** Plans add up in another order: as the ops' own tests allow. */
const tolerance = 1e-4;

describe('a tuned engine', () => {
  let engine: Engine;
  let fixed: Float32Array[];
  let met: { key: string; decision: PlanDecision }[];
  beforeAll(async () => {
    engine = await openTestEngine();
    fixed = await work(engine);
    engine.plans.isNoting = true;
    await work(engine);
    met = engine.plans.undecided;
    engine.plans.isNoting = false;
  });
  afterAll(() => engine.destroy());

  it('meets a decision in every op that has plans, forward and backward', () => {
    expect([...new Set(met.map(({ key }) => opOf(key)))].sort()).toEqual([
      'attention.backward', 'attention.forward', 'attentionGram.backward', 'conv3d.forward', 'conv3d.input-gradient', 'conv3d.weight-gradient',
      'layerNorm.affine-gradients', 'layerNorm.forward', 'layerNorm.input-gradient', 'matmul', 'normalize.backward', 'normalize.forward', 'tokenSum.squaredDeviation',
    ]);
  });

  it('computes the same, within rounding, with every plan that it might take', async () => {
    const fixedKernels = await kernelsOf(engine, async () => void (await work(engine)));
    const most = Math.max(...met.map(({ decision }) => decision.plans.length));
    expect(most).toBeGreaterThanOrEqual(3);
    for (let other = 1; other < most; other++) {
      engine.plans.pin(Object.fromEntries(met.map(({ key, decision: { plans } }) => [key, plans[other] ?? plans[0]])));
      const values: Float32Array[] = [];
      const kernels = await kernelsOf(engine, async () => void values.push(...(await work(engine))));
      expect(Math.max(...differences(values, fixed)), `plan ${other}`).toBeLessThan(tolerance);
      if (engine.device.canProfile) expect(kernels).not.toEqual(fixedKernels);
      engine.plans.reset();
    }
  });

  it('measures what it met, pins it, keeps it, and computes the same with it', async () => {
    const kept = new Map<string, string>();
    const store: TuningStore = { read: async (name) => kept.get(name) ?? null, write: async (name, text) => void kept.set(name, text) };
    engine.plans.isNoting = true;
    await work(engine);
    const before = engine.memory.liveBuffers;
    const report = await engine.tune({ store, seconds: 60, leastShare: 0 });
    expect(report.warnings).toEqual([]);
    expect(report.left).toBe(0);
    expect(report.tuned.map(({ key }) => key).sort()).toEqual(met.map(({ key }) => key).sort());
    expect(report.tuned.every(({ milliseconds, fixed }) => milliseconds[fixed]! > 0 && Object.keys(milliseconds).length > 1)).toBe(true);
    // Fewer are fine: what earlier tests left may be collected meanwhile.
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
    expect(engine.plans.choices).toEqual(report.choices);
    expect(engine.plans.undecided).toEqual([]);
    const tuned = await work(engine);
    expect(Math.max(...differences(tuned, fixed))).toBeLessThan(tolerance);

    engine.plans.reset();
    expect(await work(engine)).toEqual(fixed);
    // What the tuner could not tell for the noise is not kept.
    const again = await engine.tune({ store, seconds: 0 });
    expect(again.tuned.every(({ isStored, key, plan }) => isStored && plan === report.choices[key])).toBe(true);
    expect([again.tuned.length, again.left]).toEqual([met.length - report.busy, report.busy]);
    expect(await work(engine)).toEqual(tuned);
    engine.plans.isNoting = false;
    engine.plans.reset();
  });

  it('keeps the fixed plan where time is up, where another computes something else, and where one fails', async () => {
    engine.plans.isNoting = true;
    const wrong: PlanDecision = {
      op: 'test', extents: {}, plans: ['right', 'wrong', 'failing'],
      trial: (operand) => {
        const x = operand([100]);
        return (plan) => {
          if (plan === 'failing') throw new Error('no such kernel');
          return [plan === 'wrong' ? ops.mul(x, 1.01) : ops.mul(x, 1)];
        };
      },
    };
    engine.plans.choose('right', () => wrong);
    const none = await engine.tune({ seconds: 0 });
    expect([none.left, none.choices]).toEqual([1, {}]);
    const { tuned, warnings } = await engine.tune();
    expect(tuned.map(({ plan }: TunedPlan) => plan)).toEqual(['right']);
    expect(warnings[0]).toMatch(/^tune: test: right wrong failing: plan wrong is left out: its results differ by 1\.0e-2/);
    expect(warnings[1]).toMatch(/plan failing is left out: no such kernel$/);
    engine.plans.isNoting = false;
    engine.plans.reset();
  });

  it.skipIf(!hasMatrixUnits)('tries the matrix units on products of f16, and finds the same there', async () => {
    const shapes = [[65, 130], [130, 129]] as const;
    const multiply = (): Promise<Float32Array[]> => engine.scope(async () => {
      const [a, b] = shapes.map((shape, seed) => engine.tensor(Float32Array.from(randomArray(shape[0] * shape[1], seed + 1)), shape, { dtype: 'f16' }));
      return [(await ops.matmul(a!, b!).toArray()) as Float32Array];
    });
    const before = await multiply();
    engine.plans.isNoting = true;
    await multiply();
    const { tuned, warnings } = await engine.tune({ leastShare: 0, seconds: 60 });
    engine.plans.isNoting = false;
    expect(warnings).toEqual([]);
    expect(tuned.map(({ key }) => key)).toEqual([expect.stringMatching(/^matmul NN f16 f16 f16 batch≤1 m≤128 n≤256 k≤256: .*subgroup-matrix/)]);
    expect(tuned[0]!.milliseconds['subgroup-matrix']).toBeGreaterThan(0);
    engine.plans.reset();
    engine.plans.pin({ [tuned[0]!.key]: 'subgroup-matrix' });
    // Two results in f16 may be a step apart, twice the rounding of one.
    expect(Math.max(...differences(await multiply(), before))).toBeLessThan(2 * HALF_ROUNDING);
    engine.plans.reset();
  });

  it('leaves what takes next to none of the time as it is, unmeasured and not kept', async () => {
    const kept: string[] = [];
    engine.plans.isNoting = true;
    await work(engine);
    const { tuned, busy } = await engine.tune({ store: { read: async () => null, write: async (_, text) => void kept.push(text) }, leastShare: 0.1, seconds: 60 });
    engine.plans.isNoting = false;
    engine.plans.reset();
    const unmeasured = tuned.filter(({ milliseconds }) => Object.keys(milliseconds).length === 1);
    expect(tuned).toHaveLength(met.length);
    expect(unmeasured.length).toBeGreaterThan(met.length / 2);
    expect(unmeasured.every(({ plan, fixed }) => plan === fixed)).toBe(true);
    expect(Object.keys((JSON.parse(kept[0] ?? '{"plans":{}}') as { plans: object }).plans)).toHaveLength(tuned.length - unmeasured.length - busy);
  });

  it('is refused inside a scope', () => {
    expect(() => engine.scope(() => engine.tune())).toThrow('tune: a scope is open');
  });
});
