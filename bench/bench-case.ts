/** What a `<stem>.bench.ts` declares. */
import { noGrad, type Engine, type Tensor } from '../src/autograd/index.ts';
import { fromFloat32, toFloat32 } from '../src/data/weights/element-types.ts';
import { product, randomArray } from '../test/support/arrays.ts';

/** Arithmetic and memory traffic that the task itself needs (1 multiply-add = 2 FLOP; every operand once), not what a kernel wastes. */
export interface Work {
  flop: number;
  bytes: number;
}

export interface OpInput {
  shape: number[];
  /** Takes no gradient. */
  constant?: boolean;
  /** Factor and offset of the uniform values in [−1, 1]. */
  scale?: number;
  shift?: number;
  /** f32 where not given. f16 holds the values that it is checked with exactly, u8 whole ones from 0 to 255. */
  element?: 'f16' | 'u8';
}

/** Float64 copies of the operands by name, `dY`, and what the adapter made of them. */
export interface OpResults {
  values: Record<string, Float64Array>;
  dY: Float64Array;
  y: Float32Array;
  gradients: Record<string, Float32Array>;
}

export interface BenchCase {
  /** The kernels' stem, for example `layer-norm`. */
  family: string;
  /** Which preset's shapes, and what it is there. */
  name: string;
  forward: Work;
  backward?: Work;
  /** Runs only where the adapter has shader-f16. */
  needsF16?: boolean;
  /** Largest relative errors that are right, where the project's bounds for f32 are not meant. */
  tolerances?: { forward: number; backward: number };
  prepare(engine: Engine): Promise<PreparedCase>;
}

export interface PreparedCase {
  /** Largest error relative to the largest expected value, forward and backward; throws nothing itself. */
  check(): Promise<{ forward: number; backward?: number }>;
  /** Records one forward pass, or begins what `settle` waits for. */
  forward(): void;
  /** For work that waits for the adapter itself. */
  settle?(): Promise<void>;
  /** Computes a forward pass with its history, untimed, and gives what records the backward pass. */
  recordHistory?(): () => Promise<void>;
  dispose(): void;
}

export interface OpBench {
  family: string;
  name: string;
  inputs: Record<string, OpInput>;
  run: (tensors: Record<string, Tensor>) => Tensor;
  forward: Work;
  /** None of an op without a gradient. */
  backward?: Work;
  /** Largest relative errors; sampled where all of it would take the CPU minutes. */
  check: (results: OpResults) => { forward: number; backward?: number };
  needsF16?: boolean;
  tolerances?: { forward: number; backward: number };
}

/** Half a step of f16's 10 bits. An f16 result is a rounded f32 one; gradients of attention pass through a second one, the output that is kept. */
const halfRounding = 2 ** -11;
const halfTolerances = { forward: halfRounding + 1e-5, backward: 2 * halfRounding + 1e-4 };

/** The same op with its operands in f16, but those named, which stay in f32 as the weights of a model do. Counts half the bytes. */
export function inF16(bench: OpBench, keep: readonly string[] = []): OpBench {
  const halved = ({ flop, bytes }: Work): Work => ({ flop, bytes: bytes / 2 });
  const inputs = Object.fromEntries(Object.entries(bench.inputs).map(([name, input]) => [name, keep.includes(name) ? input : { ...input, element: 'f16' as const }]));
  return { ...bench, name: `${bench.name}, f16`, inputs, forward: halved(bench.forward), ...(bench.backward && { backward: halved(bench.backward) }), needsF16: true, tolerances: halfTolerances };
}

/** A case of one op: operands drawn once, checked, then timed. */
export function opCase(bench: OpBench): BenchCase {
  const { family, name, forward, backward, needsF16, tolerances } = bench;
  return { family, name, forward, backward, needsF16, tolerances, prepare: (engine) => prepareOp(engine, bench) };
}

/** Each value's nearest in half precision. */
function roundedToHalf(values: Float64Array): Float64Array {
  return Float64Array.from(toFloat32(fromFloat32(Float32Array.from(values), 'F16'), 'F16'));
}

function valuesOf({ shape, scale, shift, element }: OpInput, seed: number): Float64Array {
  if (element === 'u8') return randomArray(product(shape), seed, { scale: 127.5, shift: 127.5 }).map(Math.floor);
  const values = randomArray(product(shape), seed, { scale, shift });
  return element === 'f16' ? roundedToHalf(values) : values;
}

function tensorOf(engine: Engine, { shape, constant, element }: OpInput, values: Float64Array, hasBackward: boolean): Tensor {
  if (element === 'u8') return engine.tensor(Uint8Array.from(values), shape);
  return engine.tensor(Float32Array.from(values), shape, { requiresGrad: hasBackward && !constant, ...(element && { dtype: element }) });
}

async function prepareOp(engine: Engine, { inputs, run, check, backward }: OpBench): Promise<PreparedCase> {
  const values = Object.fromEntries(Object.entries(inputs).map(([name, input], index) => [name, valuesOf(input, index + 1)]));
  const tensors = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, engine.keep(tensorOf(engine, input, values[name]!, backward !== undefined))]));
  const leaves = Object.entries(tensors).filter(([, tensor]) => tensor.requiresGrad);
  const zero = (): void => leaves.forEach(([, leaf]) => leaf.zeroGrad());
  const y = engine.scope(() => noGrad(() => run(tensors)));
  const isHalf = y.dtype === 'f16';
  const dYValues = isHalf ? roundedToHalf(randomArray(y.size, 4711)) : randomArray(y.size, 4711);
  const dY = backward ? engine.keep(engine.tensor(Float32Array.from(dYValues), y.shape, { dtype: isHalf ? 'f16' : 'f32' })) : null;
  const history = (): (() => Promise<void>) => {
    zero();
    const output = run(tensors);
    return async () => {
      await output.backward(dY!);
      output.dispose();
    };
  };
  return {
    async check() {
      const yValues = (await y.toArray()) as Float32Array;
      y.dispose();
      if (dY) await engine.scope(() => history()());
      const gradients = Object.fromEntries(await Promise.all(leaves.map(async ([name, leaf]) => [name, (await leaf.grad!.toArray()) as Float32Array] as const)));
      return check({ values, dY: dYValues, y: yValues, gradients });
    },
    forward: () => engine.scope(() => void noGrad(() => run(tensors))),
    ...(dY && { recordHistory: history }),
    dispose() {
      zero();
      for (const tensor of [...Object.values(tensors), dY]) tensor?.dispose();
    },
  };
}
