import { noGrad, type Tensor } from '../../src/autograd/index.ts';
import { expectClose, product, randomArray } from './arrays.ts';
import { testEngine } from './engine.ts';

/** Input of an op: its shape and float64 values (exact in f32). `constant` inputs get no gradient; `u32` ones are indices. */
export interface OpInput {
  shape: readonly number[];
  values: Float64Array;
  constant?: boolean;
  u32?: boolean;
}

export type OpInputs = Record<string, OpInput>;
export type Values<I extends OpInputs> = { [K in keyof I]: Float64Array };

/** A random input: seeded, uniform in [-scale, scale] + shift. */
export function input(shape: readonly number[], seed: number, options: { scale?: number; shift?: number; constant?: boolean } = {}): OpInput {
  return { shape, values: randomArray(product(shape), seed, options), ...(options.constant ? { constant: true } : {}) };
}

export interface OpCheck<I extends OpInputs> {
  inputs: I;
  /** The op under test. */
  run: (tensors: { [K in keyof I]: Tensor }) => Tensor;
  /** Its float64 reference. */
  reference: (values: Values<I>) => Float64Array;
  /** Gradients of the reference, by input name, for the output gradient dY. */
  backward?: (values: Values<I>, dY: Float64Array) => { [K in keyof I]?: Float64Array };
  /** Norm-wise relative error allowed; a value above the default needs its reason beside the case. */
  tolerance?: number;
  gradientTolerance?: number;
}

/** Runs an op forward and backward on the GPU and compares with its reference. Leaves no tensor behind. */
export async function expectOp<I extends OpInputs>({ inputs, run, reference, backward, tolerance = 1e-5, gradientTolerance = 1e-4 }: OpCheck<I>): Promise<void> {
  const engine = await testEngine();
  const before = engine.memory.liveBuffers;
  const values = valuesOf(inputs);
  const expected = reference(values);
  await engine.scope(async () => {
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, values, constant, u32 }]) => [
        name,
        engine.tensor(u32 ? Uint32Array.from(values) : Float32Array.from(values), shape, { requiresGrad: !constant && !u32 && backward !== undefined }),
      ]),
    ) as { [K in keyof I]: Tensor };
    const output = run(tensors);
    expectClose(await output.toArray(), expected, tolerance, 'forward');
    const inference = noGrad(() => run(tensors));
    expectClose(await inference.toArray(), expected, tolerance, 'forward without tape');
    if (!backward) return;
    const dY = randomArray(output.size, 4711);
    await output.backward(engine.tensor(Float32Array.from(dY), output.shape));
    const gradients = backward(values, dY);
    for (const [name, gradient] of Object.entries(gradients) as [keyof I & string, Float64Array][]) {
      const { grad } = tensors[name]!;
      if (!grad) throw new Error(`backward: no gradient for ${name}`);
      expectClose(await grad.toArray(), gradient, gradientTolerance, `gradient of ${name}`);
      tensors[name]!.zeroGrad();
    }
  });
  // Fewer are fine: what earlier tests left may be collected meanwhile.
  if (engine.memory.liveBuffers > before) throw new Error(`the op left ${engine.memory.liveBuffers - before} buffers behind`);
}

/** Compares a reference gradient with central differences of its forward reference, both in float64. No GPU. */
export function expectReferenceGradient<I extends OpInputs>(
  inputs: I,
  reference: (values: Values<I>) => Float64Array,
  backward: (values: Values<I>, dY: Float64Array) => { [K in keyof I]?: Float64Array },
  { step = 1e-5, tolerance = 1e-7 } = {},
): void {
  const values = valuesOf(inputs);
  const dY = randomArray(reference(values).length, 4711);
  const gradients = backward(values, dY);
  const objective = (): number => reference(values).reduce((sum, y, i) => sum + y * dY[i]!, 0);
  for (const [name, gradient] of Object.entries(gradients) as [keyof I & string, Float64Array][]) {
    const x = values[name]!;
    const numeric = Float64Array.from(x, (value, i) => {
      x[i] = value + step;
      const above = objective();
      x[i] = value - step;
      const below = objective();
      x[i] = value;
      return (above - below) / (2 * step);
    });
    expectClose(gradient, numeric, tolerance, `reference gradient of ${name}`);
  }
}

function valuesOf<I extends OpInputs>(inputs: I): Values<I> {
  return Object.fromEntries(Object.entries(inputs).map(([name, { values }]) => [name, Float64Array.from(values)])) as Values<I>;
}
