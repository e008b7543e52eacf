import { ops, type Engine } from '../src/autograd/index.ts';
import { adamWStepReference, type AdamWOptions } from '../src/autograd/ops/adam-w.ts';
import { randomArray, relativeError } from '../test/support/arrays.ts';
import type { BenchCase, PreparedCase } from './bench-case.ts';

const options: AdamWOptions = { learningRate: 1e-3, betas: [0.9, 0.98], eps: 1e-8, weightDecay: 0.05, step: 3 };
const names = ['param', 'grad', 'moment', 'square'] as const;

/** Reads four tensors, writes three. */
const benchOf = (name: string, size: number): BenchCase => ({
  family: 'adam-w',
  name: `${name} ${size}`,
  forward: { flop: 12 * size, bytes: 7 * 4 * size },
  prepare: async (engine: Engine): Promise<PreparedCase> => {
    const values = Object.fromEntries(names.map((each, index) => [each, randomArray(size, index + 1, each === 'square' ? { shift: 1 } : {})])) as Record<(typeof names)[number], Float64Array>;
    const tensors = Object.fromEntries(names.map((each) => [each, engine.keep(engine.tensor(Float32Array.from(values[each])))])) as Record<(typeof names)[number], ReturnType<Engine['tensor']>>;
    const scale = engine.keep(engine.full([1], 0.5));
    const update = (): void => ops.adamWStep({ ...tensors, scale }, options);
    return {
      async check() {
        update();
        adamWStepReference(values, 0.5, options);
        const errors = await Promise.all((['param', 'moment', 'square'] as const).map(async (each) => relativeError((await tensors[each].toArray()) as Float32Array, values[each])));
        return { forward: Math.max(...errors) };
      },
      forward: update,
      dispose: () => [...Object.values(tensors), scale].forEach((tensor) => tensor.dispose()),
    };
  },
});

export const benches: BenchCase[] = [benchOf('tiny encoder', 101_300), benchOf('small encoder', 5_842_536), benchOf('base encoder', 15_913_318)];
