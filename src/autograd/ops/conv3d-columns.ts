/**
 * conv3d as matrix products with the inputs of a stretch of positions laid out as a matrix (im2col): the plan where the plans of
 * `gemm` are several times faster than the gather kernels.
 */
import source from '../../../kernels/conv3d.columns.wgsl';
import { defineKernel, type Device, type ParamType } from '../../engine/index.ts';
import { copyRows } from '../block-copy.ts';
import { runKernel } from '../op.ts';
import { addInto } from '../split.ts';
import type { Tensor } from '../tensor.ts';
import { phasesOf, product, vector, type Geometry, type Pass, type Phase, type Triple } from './conv3d-geometry.ts';
import { gemm } from './matmul.ts';
import { stridedCopy } from './strided-copy.ts';

/** Most bytes of one matrix of inputs. */
const mostColumnBytes = 4 * 2 ** 20;
/** Elements that the fastest products read at once along each axis. */
const vectorWidth = 4;

const params: Record<string, ParamType> = {
  in_extent: 'vec4i', in_stride: 'vec4i', in_base: 'vec4i', in_step: 'vec4i', positions: 'vec4i', tap_count: 'vec4i',
  item: 'u32', in_channels: 'u32', first: 'u32', count: 'u32', padded_count: 'u32', padded_rows: 'u32', k_stride: 'u32', m_stride: 'u32',
};

const columnsKernel = defineKernel({
  label: 'conv3d.columns',
  source,
  inputs: ['x'],
  outputs: ['y'],
  params,
  constants: { WORKGROUP_SIZE: 32 },
  workgroups: ({ in_channels, padded_count }, { WORKGROUP_SIZE }) => Math.ceil(((in_channels! + 1) * padded_count!) / vectorWidth / WORKGROUP_SIZE!),
});

/** What reads `x` [batch, channels, extent] at `positions` · stride + base + tap · step. */
interface Gather {
  channels: number;
  extent: Triple;
  positions: Triple;
  taps: Triple;
  stride: Triple;
  base: Triple;
  step: Triple;
}

const inputsOf = (g: Geometry): Gather => ({
  channels: g.inChannels, extent: g.inExtent, positions: g.outExtent, taps: g.kernel, stride: g.stride, base: g.before.map((zeros) => -zeros) as unknown as Triple, step: g.dilation,
});

/** Whether a pass can go by columns: one group, operands that are bound whole, and an input gradient that is one convolution. */
export function canUseColumns({ bindingLimit }: Device, pass: Pass, g: Geometry): boolean {
  const rows = roundUp(Math.max(g.inChannels, g.outChannels) * product(g.kernel) + 1);
  const ofVolumes = g.batch * Math.max(g.inChannels * product(g.inExtent), g.outChannels * product(g.outExtent));
  const ofMatrix = rows * Math.max(g.inChannels, g.outChannels, vectorWidth);
  return g.dtype === 'f32' && g.groups === 1 && 4 * Math.max(ofVolumes, ofMatrix) <= bindingLimit && (pass !== 'input-gradient' || product(g.stride) === 1);
}

/** y [batch, outChannels, outExtent]. */
export function forwardByColumns(x: Tensor, weight: Tensor, bias: Tensor | null, y: Tensor, g: Geometry): void {
  multiplyColumns(x, paddedMatrix(weight, g.outChannels, bias), y, g.batch, g.outChannels, inputsOf(g));
}

/** dX [batch, inChannels, inExtent] of a convolution without strides: a convolution of dY with the taps in reverse. */
export function inputGradientByColumns(dY: Tensor, weight: Tensor, g: Geometry): Tensor {
  const taps = product(g.kernel);
  const dX = dY.engine.empty([g.batch, g.inChannels, ...g.inExtent]);
  const turned = stridedCopy(weight, [g.inChannels, g.outChannels, taps], [taps, g.inChannels * taps, 1], 'conv3d');
  const [depth, rows, columns] = ([0, 1, 2] as const).map((axis) => phasesOf(axis, g)[0]!) as [Phase, Phase, Phase];
  const gather = {
    channels: g.outChannels, extent: g.outExtent, positions: g.inExtent, taps: g.kernel, stride: [1, 1, 1] as const,
    base: [depth.base, rows.base, columns.base] as const, step: [depth.readStep, rows.readStep, columns.readStep] as const,
  };
  multiplyColumns(dY, paddedMatrix(turned, g.inChannels, null), dX, g.batch, g.inChannels, gather);
  return dX;
}

/** dWeight [outChannels, inChannels, kernel]: dY of each stretch of positions times its columns, added up in order. */
export function weightGradientByColumns(x: Tensor, dY: Tensor, g: Geometry): Tensor {
  const { engine } = x;
  const rows = g.inChannels * product(g.kernel);
  const gather = inputsOf(g);
  const sum = engine.zeros([g.outChannels, roundUp(rows)]);
  eachStretch(x, gather, g.batch, roundUp(rows), (item, first, count, padded) => {
    const columns = columnsOf(x, gather, { item, first, count, padded, paddedRows: roundUp(rows), byPosition: true });
    const gradients = padded === count ? engine.empty([g.outChannels, padded]) : engine.zeros([g.outChannels, padded]);
    copyStretch(dY, gradients, { item, first, count, channels: g.outChannels, positions: product(g.outExtent), padded, intoWhole: false });
    addInto(engine.device, gemm(gradients, columns).view, sum.view);
  });
  return withoutPadding(sum, g.outChannels, rows, [g.outChannels, g.inChannels, ...g.kernel]);
}

/** y[item, o] = matrix[o] · columns, stretch by stretch. */
function multiplyColumns(x: Tensor, matrix: Tensor, y: Tensor, batch: number, channels: number, gather: Gather): void {
  const paddedRows = matrix.shape[1]!;
  eachStretch(x, gather, batch, paddedRows, (item, first, count, padded) => {
    const part = gemm(matrix, columnsOf(x, gather, { item, first, count, padded, paddedRows, byPosition: false }));
    copyStretch(y, part, { item, first, count, channels, positions: product(gather.positions), padded, intoWhole: true });
  });
}

/** Calls `work` for stretches of positions of each item whose columns stay within bounds; what it makes is freed after each. */
function eachStretch({ engine }: Tensor, { positions }: Gather, batch: number, paddedRows: number, work: (item: number, first: number, count: number, padded: number) => void): void {
  const all = product(positions);
  const most = Math.max(vectorWidth, Math.floor(Math.min(mostColumnBytes, engine.device.bindingLimit) / (4 * paddedRows) / vectorWidth) * vectorWidth);
  const each = roundUp(Math.ceil(all / Math.ceil(all / most)));
  for (let item = 0; item < batch; item++) {
    for (let first = 0; first < all; first += each) {
      const count = Math.min(each, all - first);
      engine.scope(() => work(item, first, count, roundUp(count)));
    }
  }
}

interface Stretch {
  item: number;
  first: number;
  count: number;
  padded: number;
  paddedRows: number;
  /** A row a position, else a row a tap. */
  byPosition: boolean;
}

function columnsOf(x: Tensor, { channels, extent, positions, taps, stride, base, step }: Gather, { item, first, count, padded, paddedRows, byPosition }: Stretch): Tensor {
  const y = x.engine.empty(byPosition ? [padded, paddedRows] : [paddedRows, padded]);
  runKernel(columnsKernel, { x, y }, {
    in_extent: vector(extent), in_stride: vector(stride), in_base: vector(base), in_step: vector(step), positions: vector(positions), tap_count: vector(taps),
    item, in_channels: channels, first, count, padded_count: padded, padded_rows: paddedRows,
    ...(byPosition ? { k_stride: 1, m_stride: paddedRows } : { k_stride: padded, m_stride: 1 }),
  });
  return y;
}

/** Copies a stretch of positions of one item between `whole` [batch, channels, positions] and `part` [channels, padded]. */
function copyStretch(whole: Tensor, part: Tensor, s: { item: number; first: number; count: number; channels: number; positions: number; padded: number; intoWhole: boolean }): void {
  const inWhole = { buffer: whole.view.buffer, offset: whole.view.offset + 4 * (s.item * s.channels * s.positions + s.first), stride: 4 * s.positions };
  const inPart = { buffer: part.view.buffer, offset: part.view.offset, stride: 4 * s.padded };
  const [from, to] = s.intoWhole ? [inPart, inWhole] : [inWhole, inPart];
  copyRows(whole.engine.device, from, to, s.channels, 4 * s.count);
}

/** `weight` as [outputs, taps] with as many more columns as vectors need: the bias, then zeros. */
function paddedMatrix(weight: Tensor, outputs: number, bias: Tensor | null): Tensor {
  const { engine } = weight;
  const columns = weight.size / outputs;
  const padded = roundUp(columns + (bias ? 1 : 0));
  if (padded === columns) return weight.alias([outputs, columns]);
  const matrix = engine.zeros([outputs, padded]);
  const place = (tensor: Tensor, width: number, first: number): void =>
    copyRows(engine.device, { buffer: tensor.view.buffer, offset: tensor.view.offset, stride: 4 * width }, { buffer: matrix.view.buffer, offset: matrix.view.offset + 4 * first, stride: 4 * padded }, outputs, 4 * width);
  place(weight, columns, 0);
  if (bias) place(bias, 1, columns);
  return matrix;
}

function withoutPadding(matrix: Tensor, rows: number, columns: number, shape: readonly number[]): Tensor {
  const padded = matrix.size / rows;
  if (padded === columns) return matrix.alias(shape);
  const y = matrix.engine.empty(shape);
  copyRows(matrix.engine.device, { buffer: matrix.view.buffer, offset: matrix.view.offset, stride: 4 * padded }, { buffer: y.view.buffer, offset: y.view.offset, stride: 4 * columns }, rows, 4 * columns);
  return y;
}

const roundUp = (extent: number): number => Math.ceil(extent / vectorWidth) * vectorWidth;
