import { ops } from '../src/autograd/index.ts';
import { product } from '../test/support/arrays.ts';
import { inF16, opCase, type BenchCase, type OpBench, type OpResults } from './bench-case.ts';
import { sampledError } from './checks.ts';

type Triple = [number, number, number];

interface Convolution {
  name: string;
  x: [batch: number, channels: number, d: number, h: number, w: number];
  out: number;
  kernel: Triple;
  stride: Triple;
  /** Zeros before and after each axis. */
  padding: [Triple, Triple];
  groups?: number;
}

const none: Triple = [0, 0, 0];
const one: Triple = [1, 1, 1];
const patch: Triple = [2, 4, 4];
const five: Triple = [5, 5, 5];
const three: Triple = [3, 3, 3];

const convolutions: Convolution[] = [
  { name: 'tiny stem 1', x: [8, 1, 16, 64, 64], out: 16, kernel: patch, stride: patch, padding: [none, none] },
  { name: 'tiny stem 2', x: [8, 16, 8, 16, 16], out: 64, kernel: three, stride: [2, 2, 2], padding: [one, one] },
  { name: 'comparison 3³', x: [1, 16, 32, 32, 32], out: 32, kernel: three, stride: one, padding: [one, one] },
  { name: 'small stem 1', x: [1, 1, 120, 240, 240], out: 32, kernel: patch, stride: patch, padding: [none, none] },
  { name: 'small stem 2', x: [1, 32, 60, 60, 60], out: 256, kernel: five, stride: five, padding: [none, none] },
  // CTViT's position encoding: depthwise, the first axis causal.
  { name: 'teacher PEG depthwise', x: [1, 512, 24, 24, 24], out: 512, kernel: three, stride: one, padding: [[2, 1, 1], [0, 1, 1]], groups: 512 },
  { name: 'base stem 1', x: [1, 1, 240, 480, 480], out: 32, kernel: patch, stride: patch, padding: [none, none] },
  { name: 'base stem 2', x: [1, 32, 120, 120, 120], out: 384, kernel: five, stride: five, padding: [none, none] },
];

interface Extents extends Convolution {
  groups: number;
  perGroup: number;
  outPerGroup: number;
  extent: Triple;
}

function extentsOf(c: Convolution): Extents {
  const groups = c.groups ?? 1;
  const extent = [0, 1, 2].map((axis) => Math.floor((c.x[axis + 2]! + c.padding[0][axis]! + c.padding[1][axis]! - c.kernel[axis]!) / c.stride[axis]!) + 1) as Triple;
  return { ...c, groups, perGroup: c.x[1] / groups, outPerGroup: c.out / groups, extent };
}

const unflatten = (index: number, shape: readonly number[]): number[] =>
  shape.map((_, axis) => Math.floor(index / product(shape.slice(axis + 1))) % shape[axis]!);
const flat = (at: readonly number[], shape: readonly number[]): number => at.reduce((index, position, axis) => index * shape[axis]! + position, 0);

/** Visits the taps of each axis that connect an input position with an output position. */
function eachTap(c: Extents, visit: (tap: number[]) => void): void {
  for (let d = 0; d < c.kernel[0]; d++) for (let h = 0; h < c.kernel[1]; h++) for (let w = 0; w < c.kernel[2]; w++) visit([d, h, w]);
}

function check(c: Extents, { values: { x, weight, bias }, dY, y, gradients }: OpResults): { forward: number; backward: number } {
  const yShape = [c.x[0], c.out, ...c.extent];
  const weightShape = [c.out, c.perGroup, ...c.kernel];
  const inside = (at: number[], extent: readonly number[]): boolean => at.every((position, axis) => Number.isInteger(position) && position >= 0 && position < extent[axis]!);
  const forward = sampledError(y, (index) => {
    const [n, o, ...m] = unflatten(index, yShape) as [number, number, number, number, number];
    let sum = bias![o]!;
    eachTap(c, (tap) => {
      const at = m.map((position, axis) => position * c.stride[axis]! + tap[axis]! - c.padding[0][axis]!);
      if (!inside(at, c.x.slice(2))) return;
      for (let channel = 0; channel < c.perGroup; channel++) {
        const source = Math.floor(o / c.outPerGroup) * c.perGroup + channel;
        sum += x![flat([n, source, ...at], c.x)]! * weight![flat([o, channel, ...tap], weightShape)]!;
      }
    });
    return sum;
  });
  const dX = sampledError(gradients.x ?? new Float32Array(0), (index) => {
    const [n, channel, ...at] = unflatten(index, c.x) as [number, number, number, number, number];
    const group = Math.floor(channel / c.perGroup);
    let sum = 0;
    eachTap(c, (tap) => {
      const m = at.map((position, axis) => (position + c.padding[0][axis]! - tap[axis]!) / c.stride[axis]!);
      if (!inside(m, c.extent)) return;
      for (let o = group * c.outPerGroup; o < (group + 1) * c.outPerGroup; o++) {
        sum += dY[flat([n, o, ...m], yShape)]! * weight![flat([o, channel % c.perGroup, ...tap], weightShape)]!;
      }
    });
    return sum;
  });
  const few = gradients.weight!.filter((_, index) => index % Math.ceil(gradients.weight!.length / 12) === 0);
  const step = Math.ceil(gradients.weight!.length / 12);
  const dWeight = sampledError(few, (sample) => {
    const [o, channel, ...tap] = unflatten(sample * step, weightShape) as [number, number, number, number, number];
    const source = Math.floor(o / c.outPerGroup) * c.perGroup + channel;
    let sum = 0;
    for (let n = 0; n < c.x[0]; n++) {
      for (let position = 0; position < product(c.extent); position++) {
        const m = unflatten(position, c.extent);
        const at = m.map((each, axis) => each * c.stride[axis]! + tap[axis]! - c.padding[0][axis]!);
        if (inside(at, c.x.slice(2))) sum += dY[flat([n, o, ...m], yShape)]! * x![flat([n, source, ...at], c.x)]!;
      }
    }
    return sum;
  });
  return { forward, backward: Math.max(gradients.x ? dX : 0, dWeight) };
}

function benchOf(convolution: Convolution): OpBench {
  const c = extentsOf(convolution);
  const outputs = c.x[0] * c.out * product(c.extent);
  const flop = 2 * outputs * c.perGroup * product(c.kernel);
  const bytes = 4 * (product(c.x) + outputs);
  // The volume itself takes no gradient in training; the inputs of all other convolutions do.
  const isFirst = c.x[1] === 1;
  return {
    family: 'conv3d',
    name: `${c.name} ${c.x.join('×')} k${c.kernel.join('·')} → ${c.out}`,
    inputs: { x: { shape: c.x, constant: isFirst }, weight: { shape: [c.out, c.perGroup, ...c.kernel] }, bias: { shape: [c.out] } },
    run: ({ x, weight, bias }) =>
      ops.conv3d(x!, weight!, bias!, { stride: c.stride, groups: c.groups, padding: [0, 1, 2].map((axis) => [c.padding[0][axis]!, c.padding[1][axis]!]) as [[number, number], [number, number], [number, number]] }),
    forward: { flop, bytes },
    backward: { flop: (isFirst ? 1 : 2) * flop, bytes: (isFirst ? 1 : 2) * bytes },
    check: (results) => check(c, results),
  };
}

const half = convolutions.filter(({ name }) => ['tiny stem 2', 'comparison 3³', 'small stem 2'].includes(name)).map((convolution) => inF16(benchOf(convolution), ['weight', 'bias']));

export const benches: BenchCase[] = [...convolutions.map(benchOf), ...half].map(opCase);
