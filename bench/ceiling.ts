/** What the adapter can do at best, measured: a copy for bytes, the best matrix product for arithmetic. */
import { ops, type Engine, type Tensor } from '../src/autograd/index.ts';
import type { GemmPlan } from '../src/autograd/ops/index.ts';
import { runKernel } from '../src/autograd/op.ts';
import { defineKernel } from '../src/engine/index.ts';
import copySource from './copy.wgsl';

export interface Ceiling {
  /** FLOP and bytes a second. */
  flops: number;
  bandwidth: number;
  /** Plan of the best product. */
  plan: GemmPlan;
}

const copyKernel = defineKernel({
  label: 'bench.copy',
  source: copySource,
  inputs: ['x'],
  outputs: ['y'],
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
});

const plans: GemmPlan[] = ['tiled', 'rows', 'vec4', 'subgroup'];

/** The least time of some runs in seconds: a ceiling is what is possible, and noise only adds. */
async function leastSeconds(engine: Engine, work: () => void, { runs, repeats }: { runs: number; repeats: number }): Promise<number> {
  let least = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const start = performance.now();
    for (let run = 0; run < runs; run++) work();
    await engine.sync();
    if (repeat > 0) least = Math.min(least, (performance.now() - start) / 1000 / runs); // the first compiles
  }
  return least;
}

/** With the best plan of an earlier measurement, `known` skips the others and takes a moment only. */
export async function measureCeiling(engine: Engine, known?: GemmPlan): Promise<Ceiling> {
  const { isSoftware } = engine.device;
  const repeats = known ? 3 : 12;
  const floats = isSoftware ? 2 ** 24 : 2 ** 27; // beyond every cache
  const extent = isSoftware ? 512 : 4096;
  const runs = isSoftware ? 1 : 10;
  return engine.scope(async () => {
    const x = engine.full([floats], 1);
    const y = engine.empty([floats]);
    const copySeconds = await leastSeconds(engine, () => runKernel(copyKernel, { x, y }, { count: floats / 4 }, isSoftware ? { WORKGROUP_SIZE: 8, RUN: 128 } : {}), { runs, repeats });
    x.dispose();
    y.dispose();
    const a = engine.full([extent, extent], 1);
    let best: { seconds: number; plan: GemmPlan } = { seconds: Infinity, plan: 'rows' };
    for (const plan of known ? [known] : plans) {
      // A workgroup's memory and barriers take a software adapter many times as long.
      if (isSoftware && plan === 'tiled') continue;
      const multiply = (): Tensor => engine.scope(() => ops.matmul(a, a, { plan }));
      const seconds = await leastSeconds(engine, () => multiply().dispose(), { runs, repeats });
      if (seconds < best.seconds) best = { seconds, plan };
    }
    return { flops: (2 * extent ** 3) / best.seconds, bandwidth: (2 * 4 * floats) / copySeconds, plan: best.plan };
  });
}
