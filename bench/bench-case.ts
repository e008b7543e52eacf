/** What a `<stem>.bench.ts` declares. */
import { noGrad, type Engine, type Tensor } from '../src/autograd/index.ts';
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
  backward: Work;
  /** Largest relative errors; sampled where all of it would take the CPU minutes. */
  check: (results: OpResults) => { forward: number; backward: number };
}

/** A case of one op: operands drawn once, checked, then timed. */
export function opCase(bench: OpBench): BenchCase {
  return { family: bench.family, name: bench.name, forward: bench.forward, backward: bench.backward, prepare: (engine) => prepareOp(engine, bench) };
}

async function prepareOp(engine: Engine, { inputs, run, check }: OpBench): Promise<PreparedCase> {
  const values = Object.fromEntries(Object.entries(inputs).map(([name, { shape, scale, shift }], index) => [name, randomArray(product(shape), index + 1, { scale, shift })]));
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, constant }]) => [name, engine.keep(engine.tensor(Float32Array.from(values[name]!), shape, { requiresGrad: !constant }))]),
  );
  const leaves = Object.entries(tensors).filter(([, tensor]) => tensor.requiresGrad);
  const zero = (): void => leaves.forEach(([, leaf]) => leaf.zeroGrad());
  const y = engine.scope(() => noGrad(() => run(tensors)));
  const dYValues = randomArray(y.size, 4711);
  const dY = engine.keep(engine.tensor(Float32Array.from(dYValues), y.shape));
  const history = (): (() => Promise<void>) => {
    zero();
    const output = run(tensors);
    return async () => {
      await output.backward(dY);
      output.dispose();
    };
  };
  return {
    async check() {
      const yValues = (await y.toArray()) as Float32Array;
      y.dispose();
      await engine.scope(() => history()());
      const gradients = Object.fromEntries(await Promise.all(leaves.map(async ([name, leaf]) => [name, (await leaf.grad!.toArray()) as Float32Array] as const)));
      return check({ values, dY: dYValues, y: yValues, gradients });
    },
    forward: () => engine.scope(() => void noGrad(() => run(tensors))),
    recordHistory: history,
    dispose() {
      zero();
      for (const tensor of [...Object.values(tensors), dY]) tensor.dispose();
    },
  };
}
