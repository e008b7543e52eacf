import backwardBiasSource from '../../../kernels/conv3d.backward-bias.wgsl';
import backwardWeightSingleSource from '../../../kernels/conv3d.backward-weight-single.wgsl';
import backwardWeightSubgroupSource from '../../../kernels/conv3d.backward-weight-subgroup.wgsl';
import backwardWeightSource from '../../../kernels/conv3d.backward-weight.wgsl';
import packWeightSource from '../../../kernels/conv3d.pack-weight.wgsl';
import singleSource from '../../../kernels/conv3d.single.wgsl';
import subgroupSource from '../../../kernels/conv3d.subgroup.wgsl';
import tiledSource from '../../../kernels/conv3d.tiled.wgsl';
import { defineKernel, sizeOf, type Device, type KernelSpec, type ParamType, type Shape } from '../../engine/index.ts';
import { checkDType, checkTensor, defineOp, runKernel } from '../op.ts';
import { innermost } from '../split-axes.ts';
import { record } from '../tape.ts';
import { Tensor } from '../tensor.ts';
import { columnSum } from './column-sum.ts';
import { channelTile, gatherAxes, packAxes, weightGradientAxes } from './conv3d-axes.ts';
import { flatStrides, geometryOf, phasesOf, product, vector, type Conv3dOptions, type Conv3dPlan, type Geometry, type Phase, type Triple } from './conv3d-geometry.ts';
import { copyAlongAxis } from './copy-along-axis.ts';
import { broadcastsInRegisters } from './matmul.ts';
import { sliceOf } from './slice.ts';

const laneTile = 4; // positions or columns at which an invocation of the tiled kernels computes `channelTile` output channels
const minTiledChannels = 4; // below this half of a tile would be padding
const subgroupTile = 16; // output channels of the subgroup kernels,
const minSubgroupChannels = 12; // and so many make them worth it
const weightGradientWorkgroups = 512; // enough to occupy a large GPU; more only adds partial sums

const gatherParams: Record<string, ParamType> = {
  in_extent: 'vec4i',
  in_stride: 'vec4i',
  in_base: 'vec4i',
  in_step: 'vec4i',
  positions: 'vec4i',
  tap_count: 'vec4i',
  tap_stride: 'vec4i',
  out_extent: 'vec4i',
  out_step: 'vec4i',
  out_offset: 'vec4i',
  batch: 'u32',
  groups: 'u32',
  in_channels: 'u32',
  out_channels: 'u32',
  taps: 'u32',
  tap_start: 'u32',
  has_bias: 'u32',
  accumulate: 'u32',
  weight_in_stride: 'u32',
  weight_out_stride: 'u32',
};

const gatherWorkgroups =
  (channels: number, positionsPerLane: number): KernelSpec['workgroups'] =>
  ({ batch, groups, out_channels, positions }, { LANES }) =>
    Math.ceil((batch! * product(positions as unknown as number[])) / (positionsPerLane * LANES!)) * groups! * Math.ceil(out_channels! / channels);

const tiledKernel = defineKernel({
  label: 'conv3d.tiled',
  source: tiledSource,
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y'],
  params: gatherParams,
  constants: { LANES: 32 },
  workgroups: gatherWorkgroups(channelTile, laneTile),
  split: (params) => gatherAxes(params, true),
});

const subgroupKernel = defineKernel({
  ...tiledKernel,
  label: 'conv3d.subgroup',
  source: subgroupSource,
  constants: { LANES: 8 },
  workgroups: gatherWorkgroups(subgroupTile, laneTile),
  features: ['subgroups'],
});

const singleKernel = defineKernel({
  label: 'conv3d.single',
  source: singleSource,
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y'],
  params: gatherParams,
  constants: { LANES: 32 },
  workgroups: gatherWorkgroups(1, laneTile),
  split: (params) => gatherAxes(params, false),
});

const packWeightKernel = defineKernel({
  label: 'conv3d.pack-weight',
  source: packWeightSource,
  inputs: ['weight'],
  outputs: ['y'],
  params: { groups: 'u32', in_channels: 'u32', out_channels: 'u32', taps: 'u32', weight_in_stride: 'u32', weight_out_stride: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ groups, in_channels, out_channels, taps }, { WORKGROUP_SIZE }) =>
    Math.ceil((groups! * Math.ceil(out_channels! / channelTile) * channelTile * in_channels! * taps!) / WORKGROUP_SIZE!),
  split: packAxes,
});

const weightParams: Record<string, ParamType> = {
  in_extent: 'vec4i',
  out_extent: 'vec4i',
  kernel: 'vec4i',
  stride: 'vec4i',
  padding: 'vec4i',
  dilation: 'vec4i',
  batch: 'u32',
  groups: 'u32',
  in_channels: 'u32',
  out_channels: 'u32',
  rows_per_chunk: 'u32',
  chunks: 'u32',
};

const weightGradientWorkgroupsOf =
  (channels: number, columnsPerLane: number): KernelSpec['workgroups'] =>
  ({ groups, in_channels, out_channels, chunks, kernel }, { LANES }) =>
    chunks! * groups! * Math.ceil(out_channels! / channels) * Math.ceil((in_channels! * product(kernel as unknown as number[])) / (columnsPerLane * LANES!));

const backwardWeightKernel = defineKernel({
  label: 'conv3d.backward-weight',
  source: backwardWeightSource,
  inputs: ['x', 'dy'],
  outputs: ['d_weight'],
  params: weightParams,
  constants: { LANES: 8 },
  workgroups: weightGradientWorkgroupsOf(channelTile, laneTile),
  split: weightGradientAxes,
});

const backwardWeightSubgroupKernel = defineKernel({
  ...backwardWeightKernel,
  label: 'conv3d.backward-weight-subgroup',
  source: backwardWeightSubgroupSource,
  workgroups: weightGradientWorkgroupsOf(subgroupTile, laneTile),
  features: ['subgroups'],
});

const backwardWeightSingleKernel = defineKernel({
  label: 'conv3d.backward-weight-single',
  source: backwardWeightSingleSource,
  inputs: ['x', 'dy'],
  outputs: ['d_weight'],
  params: weightParams,
  constants: { LANES: 32 },
  workgroups: weightGradientWorkgroupsOf(1, 1),
  split: weightGradientAxes,
});

const backwardBiasKernel = defineKernel({
  label: 'conv3d.backward-bias',
  source: backwardBiasSource,
  inputs: ['dy'],
  outputs: ['d_bias'],
  params: { rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['dy', 'd_bias'] },
  split: ({ columns }) => [{ ...innermost('columns', columns!, 'dy'), sums: ['d_bias'] }],
});

/**
 * 3D convolution (cross-correlation, as PyTorch's) with zero padding.
 *
 * `x` [B, C_in, D, Y, X]; `weight` [C_out, C_in/groups, kD, kY, kX]; `bias` [C_out] or null. Result [B, C_out, …] with
 * floor((extent + padding − dilation·(kernel − 1) − 1)/stride) + 1 positions an axis. Saves x and weight. Gradients: x, weight, bias.
 */
export const conv3d = defineOp('conv3d', (x: Tensor, weight: Tensor, bias: Tensor | null, options: Conv3dOptions = {}): Tensor => {
  const { engine } = x;
  checkDType(x, 'conv3d', 'x');
  checkDType(weight, 'conv3d', 'weight');
  const geometry = { ...geometryOf(x.shape, weight.shape, options), plan: choosePlan(engine.device, options.plan) };
  const { batch, groups, outChannels, outExtent } = geometry;
  if (bias) checkTensor(bias, 'conv3d', 'bias', [groups * outChannels]);
  const y = engine.empty([batch, groups * outChannels, ...outExtent]);
  runForward(x, weight, bias, y, geometry);
  return record(y, 'conv3d', [x, weight, bias], { x, weight }, (dY, saved, [needsX, needsWeight, needsBias]) => [
    needsX ? inputGradient(dY, saved.weight, geometry) : null,
    needsWeight ? weightGradient(saved.x, dY, geometry) : null,
    needsBias ? biasGradient(dY, geometry) : null,
  ]);
});

function choosePlan(device: Device, wanted: Conv3dPlan = 'subgroup'): Conv3dPlan {
  return wanted === 'subgroup' && broadcastsInRegisters(device) ? 'subgroup' : 'plain';
}

function runForward(x: Tensor, weight: Tensor, bias: Tensor | null, y: Tensor, geometry: Geometry): void {
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const taps = product(kernel);
  const gather = prepareGather(weight, { groups, inChannels, outChannels, taps, inStride: taps, outStride: inChannels * taps, plan: geometry.plan });
  runKernel(gather.kernel, { x, weight: gather.weight, bias: bias ?? x.engine.zeros([1]), y }, {
    ...gather.params,
    batch,
    has_bias: bias ? 1 : 0,
    accumulate: 0,
    in_extent: vector(inExtent),
    in_stride: vector(stride),
    in_base: vector(before.map((zeros) => -zeros)),
    in_step: vector(dilation),
    positions: vector(outExtent),
    tap_count: vector(kernel),
    tap_stride: vector(flatStrides(kernel)),
    tap_start: 0,
    out_extent: vector(outExtent),
    out_step: [1, 1, 1, 0],
    out_offset: [0, 0, 0, 0],
  });
}

/**
 * dX. With a stride every phase writes a few rows of all of dX, so a dX above the binding limit is made slab by slab along D, each
 * from the part of dY that reaches it: the kernels' own pieces would copy it once a phase.
 */
function inputGradient(dY: Tensor, weight: Tensor, geometry: Geometry): Tensor {
  const { batch, groups, inChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const { engine } = dY;
  const shape = [batch, groups * inChannels, ...inExtent];
  const slab = Math.floor((engine.device.bindingLimit * inExtent[0]) / (4 * sizeOf(shape)));
  if (slab >= inExtent[0] || slab === 0 || product(stride) === 1) return inputGradientByPhases(dY, weight, geometry);
  const dX = engine.empty(shape);
  for (let first = 0; first < inExtent[0]; first += slab) {
    const count = Math.min(slab, inExtent[0] - first);
    const lowest = Math.ceil((first + before[0] - (kernel[0] - 1) * dilation[0]) / stride[0]);
    const start = Math.min(Math.max(lowest, 0), outExtent[0] - 1);
    const end = Math.max(Math.min(Math.floor((first + count - 1 + before[0]) / stride[0]) + 1, outExtent[0]), start + 1);
    const part = {
      ...geometry,
      inExtent: [count, inExtent[1], inExtent[2]] as const,
      outExtent: [end - start, outExtent[1], outExtent[2]] as const,
      before: [before[0] + first - start * stride[0], before[1], before[2]] as const,
    };
    const rows = end - start === outExtent[0] ? dY.alias() : sliceOf(dY, 2, start, end);
    const dPart = inputGradientByPhases(rows, weight, part);
    copyAlongAxis(dPart, dX, 2, count, 0, first);
    rows.dispose();
    dPart.dispose();
  }
  return dX;
}

/**
 * dX as a gather: input positions with the same remainder by the stride (a phase) read the same taps, so each phase is a
 * convolution of dY with stride 1 and every `step`-th tap. The phases tile dX: each element is written once.
 */
function inputGradientByPhases(dY: Tensor, weight: Tensor, geometry: Geometry): Tensor {
  const { engine } = dY;
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel } = geometry;
  const taps = product(kernel);
  const dX = engine.empty([batch, groups * inChannels, ...inExtent]);
  const gather = prepareGather(weight, { groups, inChannels: outChannels, outChannels: inChannels, taps, inStride: inChannels * taps, outStride: taps, plan: geometry.plan });
  const bias = engine.zeros([1]);
  const [depthPhases, rowPhases, columnPhases] = ([0, 1, 2] as const).map((axis) => phasesOf(axis, geometry)) as [Phase[], Phase[], Phase[]];
  for (const depth of depthPhases) {
    for (const row of rowPhases) {
      for (const column of columnPhases) {
        const axes = [depth, row, column] as const;
        runKernel(gather.kernel, { x: dY, weight: gather.weight, bias, y: dX }, {
          ...gather.params,
          batch,
          has_bias: 0,
          accumulate: 0,
          in_extent: vector(outExtent),
          in_stride: [1, 1, 1, 0],
          in_base: vector(axes.map(({ base }) => base)),
          in_step: vector(axes.map(({ readStep }) => readStep)),
          positions: vector(axes.map(({ positions }) => positions)),
          tap_count: vector(axes.map(({ tapCount }) => tapCount)),
          tap_stride: vector(flatStrides(kernel).map((size, axis) => size * axes[axis]!.tapStep)),
          tap_start: flatStrides(kernel).reduce((sum, size, axis) => sum + size * axes[axis]!.firstTap, 0),
          out_extent: vector(inExtent),
          out_step: vector(geometry.stride),
          out_offset: vector(axes.map(({ offset }) => offset)),
        });
      }
    }
  }
  return dX;
}

interface WeightLayout {
  groups: number;
  inChannels: number;
  outChannels: number;
  taps: number;
  inStride: number;
  outStride: number;
  plan: Conv3dPlan;
}

/** The plan for a gather convolution with these channels: its kernel, the weight as that kernel reads it, and their params. */
function prepareGather(weight: Tensor, { groups, inChannels, outChannels, taps, inStride, outStride, plan }: WeightLayout) {
  const params = { groups, in_channels: inChannels, out_channels: outChannels, taps, weight_in_stride: inStride, weight_out_stride: outStride };
  if (outChannels < minTiledChannels) return { kernel: singleKernel, weight, params };
  const packed = weight.engine.empty([groups, Math.ceil(outChannels / channelTile), taps, inChannels, channelTile]);
  runKernel(packWeightKernel, { weight, y: packed }, params);
  return { kernel: plan === 'subgroup' && outChannels >= minSubgroupChannels ? subgroupKernel : tiledKernel, weight: packed, params };
}

function weightGradient(x: Tensor, dY: Tensor, geometry: Geometry): Tensor {
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const wide = geometry.plan === 'subgroup' && outChannels >= minSubgroupChannels;
  const tiled = outChannels >= minTiledChannels;
  const plan = wide ? backwardWeightSubgroupKernel : tiled ? backwardWeightKernel : backwardWeightSingleKernel;
  const columns = inChannels * product(kernel);
  const rows = batch * outExtent[0] * outExtent[1];
  const [channelsEach, columnsEach] = wide ? [subgroupTile, laneTile] : tiled ? [channelTile, laneTile] : [1, 1];
  const workgroupsPerChunk = groups * Math.ceil(outChannels / channelsEach) * Math.ceil(columns / (columnsEach * plan.constants!.LANES!));
  const shape = [groups * outChannels, inChannels, ...kernel];
  const mostChunks = Math.max(1, Math.floor(x.engine.device.bindingLimit / (4 * sizeOf(shape)))); // all partial sums are bound at once
  const rowsPerChunk = Math.ceil(rows / Math.min(rows, mostChunks, Math.ceil(weightGradientWorkgroups / workgroupsPerChunk)));
  const chunks = Math.ceil(rows / rowsPerChunk);
  const parts = x.engine.empty([chunks, ...shape]);
  runKernel(plan, { x, dy: dY, d_weight: parts }, {
    in_extent: vector(inExtent),
    out_extent: vector(outExtent),
    kernel: vector(kernel),
    stride: vector(stride),
    padding: vector(before),
    dilation: vector(dilation),
    batch,
    groups,
    in_channels: inChannels,
    out_channels: outChannels,
    rows_per_chunk: rowsPerChunk,
    chunks,
  });
  return new Tensor(x.engine, shape, 'f32', chunks === 1 ? parts : columnSum(parts, chunks, groups * outChannels * columns));
}

function biasGradient(dY: Tensor, { batch, groups, outChannels, outExtent }: Geometry): Tensor {
  const channels = groups * outChannels;
  const sums = dY.engine.empty([batch * channels]);
  runKernel(backwardBiasKernel, { dy: dY, d_bias: sums }, { rows: batch * channels, columns: product(outExtent) });
  return columnSum(sums, batch, channels);
}

/** Calls `visit` with the flat indices of x, weight and y of every product that `conv3d` sums. */
function visitProducts(xShape: Shape, weightShape: Shape, options: Conv3dOptions, visit: (x: number, weight: number, y: number) => void): Omit<Geometry, 'plan'> {
  const geometry = geometryOf(xShape, weightShape, options);
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const grid = ([depth, rows, columns]: Triple): Triple[] => Array.from({ length: depth * rows * columns }, (_, i) => [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns] as const);
  const positions = grid(outExtent);
  const taps = grid(kernel);
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < groups * outChannels; o++) {
      const firstInput = Math.floor(o / outChannels) * inChannels;
      positions.forEach((position, p) => {
        for (let c = 0; c < inChannels; c++) {
          taps.forEach((tap, t) => {
            const [z, row, column] = tap.map((k, axis) => position[axis]! * stride[axis]! + k * dilation[axis]! - before[axis]!) as [number, number, number];
            if (z < 0 || row < 0 || column < 0 || z >= inExtent[0] || row >= inExtent[1] || column >= inExtent[2]) return;
            const xIndex = (((n * groups * inChannels + firstInput + c) * inExtent[0] + z) * inExtent[1] + row) * inExtent[2] + column;
            visit(xIndex, (o * inChannels + c) * taps.length + t, (n * groups * outChannels + o) * positions.length + p);
          });
        }
      });
    }
  }
  return geometry;
}

/** Float64 reference of `conv3d`. Plain loops, for tests. */
export function conv3dReference(x: Float64Array, weight: Float64Array, bias: Float64Array | null, xShape: Shape, weightShape: Shape, options: Conv3dOptions = {}): Float64Array {
  const { outExtent } = geometryOf(xShape, weightShape, options);
  const volume = product(outExtent);
  const channels = weightShape[0]!;
  const y = new Float64Array(xShape[0]! * channels * volume);
  if (bias) y.forEach((_, i) => (y[i] = bias[Math.floor(i / volume) % channels]!));
  visitProducts(xShape, weightShape, options, (xIndex, weightIndex, yIndex) => (y[yIndex]! += x[xIndex]! * weight[weightIndex]!));
  return y;
}

/** Gradients of `conv3dReference` with respect to x, weight and bias. */
export function conv3dBackwardReference(
  x: Float64Array,
  weight: Float64Array,
  dY: Float64Array,
  xShape: Shape,
  weightShape: Shape,
  options: Conv3dOptions = {},
): { x: Float64Array; weight: Float64Array; bias: Float64Array } {
  const dX = new Float64Array(x.length);
  const dWeight = new Float64Array(weight.length);
  const { outExtent } = visitProducts(xShape, weightShape, options, (xIndex, weightIndex, yIndex) => {
    dX[xIndex]! += dY[yIndex]! * weight[weightIndex]!;
    dWeight[weightIndex]! += dY[yIndex]! * x[xIndex]!;
  });
  const dBias = new Float64Array(weightShape[0]!);
  dY.forEach((value, i) => (dBias[Math.floor(i / product(outExtent)) % dBias.length]! += value));
  return { x: dX, weight: dWeight, bias: dBias };
}
