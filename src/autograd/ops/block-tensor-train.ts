import swapSource from '../../../kernels/block-tensor-train.swap.wgsl';
import { check, defineKernel, formatShape, sizeOf, type Shape, type SplitAxis } from '../../engine/index.ts';
import { checkDType, defineOp, runKernel } from '../op.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { matmul } from './matmul.ts';

export interface BlockTensorTrainOptions {
  /** Factors of d_in, slow to fast: for two cores [m1, m0]. Core k contracts the k-th from the end. */
  inFactors: readonly number[];
  /** Factors of d_out, slow to fast: for two cores [n0, n1]. Core k makes the k-th. */
  outFactors: readonly number[];
}

const swapKernel = defineKernel({
  label: 'block-tensor-train.swap',
  source: swapSource,
  inputs: ['x'],
  outputs: ['y'],
  params: { count: 'u32', b: 'u32', middle: 'u32', c: 'u32', inner: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
  split: ({ count, b, middle, c, inner }) => {
    const outer = count! / (b! * middle! * c! * inner!);
    const axis = (extent: number, x: number, y: number, name?: string): SplitAxis => ({
      extent,
      bindings: { x: { outer: x }, y: { outer: y } },
      params: (_, part) => ({ count: (count! / extent) * part, ...(name && { [name]: part }) }),
    });
    return [
      axis(outer, 1, 1),
      axis(c!, outer * b! * middle!, outer, 'c'),
      axis(b!, outer, outer * c! * middle!, 'b'),
      axis(middle!, outer * b!, outer * c!, 'middle'),
      axis(inner!, count! / inner!, count! / inner!, 'inner'),
    ];
  },
});

/**
 * Block Tensor Train projection (Qiu et al. 2024, "Compute Better Spent"): x [..., d_in] -> y [..., d_out].
 *
 * Two cores: W0 [m1, m0, n0·r], W1 [n0, m1·r, n1], r the fast index of both merged axes; input i = j·m0+a, output o = p·n1+q:
 *   H[j,p,s] = Σ_a x[j,a] W0[j,a,(p,s)],  y[p,q] = Σ_{j,s} H[j,p,s] W1[p,(j,s),q].
 * c cores [O]: with in_k the k-th input factor from the end, out_k the k-th output factor, r_0 = r_c = 1, core k is
 *   [Π_{s<k} out_s · Π_{s>k} in_s,  in_k·r_{k−1},  out_k·r_k]
 * whose block axis has the outputs made so far slow and the inputs still to come fast, each slow to fast in its tensor's order.
 * A core of rank 2, [in_k·r_{k−1}, out_k·r_k], does not depend on the block: plain tensor train.
 *
 * Saves each core and its input. Gradients: x and every core. Throws where a core does not fit its factors.
 */
export const blockTensorTrain = defineOp('blockTensorTrain', (x: Tensor, cores: readonly Tensor[], options: BlockTensorTrainOptions): Tensor => {
  checkDType(x, 'blockTensorTrain', 'x');
  const steps = planSteps(x.shape, cores.map((core) => core.shape), options);
  const rows = x.size / x.shape.at(-1)!;
  let blocks = sizeOf(steps.slice(1).map(({ input }) => input));
  // [blocks, rows, in·r] all along: every core is one batched product.
  let state = swapAxes(x, { outer: 1, b: rows, middle: 1, c: blocks, inner: steps[0]!.input }, [blocks, rows, steps[0]!.input]);
  steps.forEach(({ made, ahead, output, rank }, index) => {
    state = matmul(state, cores[index]!);
    const next = steps[index + 1];
    if (!next) return;
    // [made, ahead, in, rows, out, r] -> [made, ahead, out, rows, in, r] -> [made, out, ahead, rows, in, r].
    const rest = ahead / next.input;
    const contracted = next.input * rank;
    blocks = made * output * rest;
    state = swapAxes(state, { outer: made * rest, b: next.input, middle: rows, c: output, inner: rank }, [blocks, rows, contracted]);
    if (rest > 1) state = swapAxes(state, { outer: made, b: rest, middle: 1, c: output, inner: rows * contracted }, [blocks, rows, contracted]);
  });
  const last = steps.at(-1)!;
  return swapAxes(state, { outer: 1, b: last.made, middle: 1, c: rows, inner: last.output }, [...x.shape.slice(0, -1), last.made * last.output]);
});

interface Step {
  /** Contracted input factor and rank before it. */
  input: number;
  rankBefore: number;
  /** Output factor made and rank after it. */
  output: number;
  rank: number;
  /** Π of the output factors before, Π of the input factors still to come: their product counts the core's blocks. */
  made: number;
  ahead: number;
}

/** The extents of every core's product; checks the cores against the factors. */
function planSteps(shape: Shape, cores: readonly Shape[], { inFactors, outFactors }: BlockTensorTrainOptions): Step[] {
  const op = 'blockTensorTrain';
  const count = cores.length;
  check(count >= 2, op, () => `takes at least two cores, got ${count}`);
  check(inFactors.length === count && outFactors.length === count, op, () => `${count} cores take ${count} input and output factors, got [${inFactors}] and [${outFactors}]`);
  check(shape.at(-1) === sizeOf(inFactors), op, () => `x must end in ${sizeOf(inFactors)} (${inFactors.join('·')}), got ${formatShape(shape)}`);
  let rankBefore = 1;
  return cores.map((core, index) => {
    const input = inFactors[count - 1 - index]!;
    const output = outFactors[index]!;
    const made = sizeOf(outFactors.slice(0, index));
    const ahead = sizeOf(inFactors.slice(0, count - 1 - index));
    const rank = index === count - 1 ? 1 : core.at(-1)! / output;
    const expected = [...(core.length === 2 ? [] : [made * ahead]), input * rankBefore, output * rank];
    const fits = Number.isInteger(rank) && rank >= 1 && core.length === expected.length && expected.every((extent, axis) => extent === core[axis]);
    check(fits, op, () => `core ${index} must be ${expectedCore(made * ahead, input * rankBefore, output, index === count - 1)}, got ${formatShape(core)}`);
    const step = { input, rankBefore, output, rank, made, ahead };
    rankBefore = rank;
    return step;
  });
}

function expectedCore(blocks: number, rows: number, output: number, isLast: boolean): string {
  const columns = isLast ? `${output}` : `${output}·r`;
  return `[${blocks}, ${rows}, ${columns}] or, for a plain tensor train, [${rows}, ${columns}]`;
}

interface Swap {
  outer: number;
  b: number;
  middle: number;
  c: number;
  inner: number;
}

/** x, seen as [outer, b, middle, c, inner], with b and c exchanged, seen as `shape`. Gradient: x. */
function swapAxes(x: Tensor, swap: Swap, shape: Shape): Tensor {
  const y = swapped(x, swap, shape);
  return record(y, 'blockTensorTrain.swap', [x], {}, (dY) => [swapped(dY, { ...swap, b: swap.c, c: swap.b }, x.shape)]);
}

function swapped(x: Tensor, { b, middle, c, inner }: Swap, shape: Shape): Tensor {
  const keepsOrder = (b === 1 && (middle === 1 || c === 1)) || (c === 1 && middle === 1);
  if (keepsOrder) return x.alias(shape);
  const y = x.engine.empty(shape);
  runKernel(swapKernel, { x, y }, { count: x.size, b, middle, c, inner });
  return y;
}

interface CoreWalk {
  /** Flat indices into the state before, the core, and the state after. */
  (before: number, core: number, after: number): void;
}

/**
 * Visits every product of core `step` for one row of x. States are indexed [in_c, …, in_{k+1}, in_k][out_1, …, out_{k−1}, r_{k−1}]
 * before and [in_c, …, in_{k+1}][out_1, …, out_k, r_k] after: unlike the kernels' order, so that the reference checks it.
 */
function eachCoreProduct({ input, rankBefore, output, rank, made, ahead }: Step, isShared: boolean, visit: CoreWalk): void {
  for (let j = 0; j < ahead; j++) {
    for (let p = 0; p < made; p++) {
      const block = isShared ? 0 : p * ahead + j;
      for (let a = 0; a < input; a++) {
        for (let s = 0; s < rankBefore; s++) {
          for (let column = 0; column < output * rank; column++) {
            visit(
              ((j * input + a) * made + p) * rankBefore + s,
              ((block * input + a) * rankBefore + s) * output * rank + column,
              (j * made + p) * output * rank + column,
            );
          }
        }
      }
    }
  }
}

/** The states of one row before each core and after the last. */
function statesOf(row: Float64Array, cores: readonly Float64Array[], shapes: readonly Shape[], steps: readonly Step[]): Float64Array[] {
  const states = [row];
  steps.forEach((step, index) => {
    const after = new Float64Array(step.ahead * step.made * step.output * step.rank);
    const before = states[index]!;
    eachCoreProduct(step, shapes[index]!.length === 2, (from, core, to) => {
      after[to]! += before[from]! * cores[index]![core]!;
    });
    states.push(after);
  });
  return states;
}

/** Float64 reference of `blockTensorTrain`; `x` is [rows, d_in] flat, `shapes` are the cores'. Plain loops, for tests. */
export function blockTensorTrainReference(x: Float64Array, cores: readonly Float64Array[], shapes: readonly Shape[], options: BlockTensorTrainOptions): Float64Array {
  const inputs = sizeOf(options.inFactors);
  const outputs = sizeOf(options.outFactors);
  const steps = planSteps([inputs], shapes, options);
  const y = new Float64Array((x.length / inputs) * outputs);
  for (let row = 0; row * inputs < x.length; row++) {
    y.set(statesOf(x.subarray(row * inputs, (row + 1) * inputs), cores, shapes, steps).at(-1)!, row * outputs);
  }
  return y;
}

/** Gradients of `blockTensorTrainReference` with respect to x and every core. */
export function blockTensorTrainBackwardReference(
  x: Float64Array,
  cores: readonly Float64Array[],
  shapes: readonly Shape[],
  dY: Float64Array,
  options: BlockTensorTrainOptions,
): { x: Float64Array; cores: Float64Array[] } {
  const inputs = sizeOf(options.inFactors);
  const outputs = sizeOf(options.outFactors);
  const steps = planSteps([inputs], shapes, options);
  const dX = new Float64Array(x.length);
  const dCores = cores.map((core) => new Float64Array(core.length));
  for (let row = 0; row * inputs < x.length; row++) {
    const states = statesOf(x.subarray(row * inputs, (row + 1) * inputs), cores, shapes, steps);
    let dState = dY.subarray(row * outputs, (row + 1) * outputs);
    for (let index = steps.length - 1; index >= 0; index--) {
      const before = states[index]!;
      const dBefore = new Float64Array(before.length);
      const dAfter = dState;
      eachCoreProduct(steps[index]!, shapes[index]!.length === 2, (from, core, to) => {
        dBefore[from]! += dAfter[to]! * cores[index]![core]!;
        dCores[index]![core]! += dAfter[to]! * before[from]!;
      });
      dState = dBefore;
    }
    dX.set(dState, row * inputs);
  }
  return { x: dX, cores: dCores };
}
