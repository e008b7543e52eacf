import { noGrad, type Tensor } from '../../src/autograd/index.ts';
import { fromFloat32, toFloat32 } from '../../src/data/weights/element-types.ts';
import { expectClose, product, randomArray } from './arrays.ts';
import { testEngine } from './engine.ts';

/** Input of an op: its shape and float64 values (exact in f32). `constant` inputs get no gradient; `u32` ones are indices. */
export interface OpInput {
  shape: readonly number[];
  values: Float64Array;
  constant?: boolean;
  u32?: boolean;
  /** Stored as f16, which holds the values exactly. */
  half?: boolean;
}

export type OpInputs = Record<string, OpInput>;
export type Values<I extends OpInputs> = { [K in keyof I]: Float64Array };

/**
 * The most that rounding a number to f16 changes it, relative to it: half a step of its 10 bits. WGSL lets an adapter take the farther
 * of the two neighbours too; those seen take the nearer. Sums are f32, so an op that stores its result once is off by no more.
 */
export const HALF_ROUNDING = 2 ** -11;

/** A random input: seeded, uniform in [-scale, scale] + shift; with `half` rounded to f16 and stored so. */
export function input(shape: readonly number[], seed: number, options: { scale?: number; shift?: number; constant?: boolean; half?: boolean } = {}): OpInput {
  const { constant, half } = options;
  const values = randomArray(product(shape), seed, options);
  return { shape, values: half ? roundedToHalf(values) : values, ...(constant && { constant }), ...(half && { half }) };
}

/** Each value's nearest in half precision. */
export function roundedToHalf(values: Float64Array): Float64Array {
  return Float64Array.from(toFloat32(fromFloat32(Float32Array.from(values), 'F16'), 'F16'));
}

export interface OpCheck<I extends OpInputs> {
  inputs: I;
  /** The op under test. */
  run: (tensors: { [K in keyof I]: Tensor }) => Tensor;
  /** Its float64 reference. */
  reference: (values: Values<I>) => Float64Array;
  /** Gradients of the reference, by input name, for the output gradient dY. */
  backward?: (values: Values<I>, dY: Float64Array) => { [K in keyof I]?: Float64Array };
  /** Norm-wise relative error allowed; a value above the default needs its reason beside the case. The rounding of an f16 result comes on top. */
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
      Object.entries(inputs).map(([name, { shape, values, constant, u32, half }]) => [
        name,
        engine.tensor(u32 ? Uint32Array.from(values) : Float32Array.from(values), shape, { requiresGrad: !constant && !u32 && backward !== undefined, ...(half && { dtype: 'f16' as const }) }),
      ]),
    ) as { [K in keyof I]: Tensor };
    const output = run(tensors);
    const allowed = (tensor: Tensor, error: number): number => (tensor.dtype === 'f16' ? HALF_ROUNDING : 0) + error;
    expectClose(await output.toArray(), expected, allowed(output, tolerance), 'forward');
    const inference = noGrad(() => run(tensors));
    expectClose(await inference.toArray(), expected, allowed(output, tolerance), 'forward without tape');
    if (!backward) return;
    const isHalf = output.dtype === 'f16';
    const dY = isHalf ? roundedToHalf(randomArray(output.size, 4711)) : randomArray(output.size, 4711);
    await output.backward(engine.tensor(Float32Array.from(dY), output.shape, { dtype: isHalf ? 'f16' : 'f32' }));
    const gradients = backward(values, dY);
    for (const [name, gradient] of Object.entries(gradients) as [keyof I & string, Float64Array][]) {
      const { grad } = tensors[name]!;
      if (!grad) throw new Error(`backward: no gradient for ${name}`);
      if (grad.dtype !== tensors[name]!.dtype) throw new Error(`backward: the gradient of ${name} is ${grad.dtype}, the tensor ${tensors[name]!.dtype}`);
      expectClose(await grad.toArray(), gradient, allowed(grad, gradientTolerance), `gradient of ${name}`);
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
