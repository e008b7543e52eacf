import { bytesPerElement, sizeOf, type Device, type Shape } from '../../engine/index.ts';
import type { Engine } from '../engine.ts';
import { checkDType, checkTensor, defineOp, floatType, runKernel } from '../op.ts';
import type { PlanTrial } from '../plan-table.ts';
import { record } from '../tape.ts';
import { Tensor } from '../tensor.ts';
import { columnSum } from './column-sum.ts';
import { channelTile } from './conv3d-axes.ts';
import { flatStrides, geometryOf, phasesOf, product, vector, type Conv3dOptions, type Geometry, type Pass, type Phase, type Triple } from './conv3d-geometry.ts';
import { backwardBiasKernel, gatherKernel, packWeightKernel, weightGradientKernel, type ChannelPlan } from './conv3d-kernels.ts';
import { copyAlongAxis } from './copy-along-axis.ts';
import { broadcastsInRegisters, hasSubgroupsOf8 } from './matmul.ts';
import { sliceOf } from './slice.ts';

const minTiledChannels = 4; // below this half of a tile would be padding
const minSubgroupChannels = 12; // so many make the tiles of the subgroup kernels worth it
const weightGradientWorkgroups = 512; // enough to occupy a large GPU; more only adds partial sums

/**
 * 3D convolution (cross-correlation, as PyTorch's) with zero padding.
 *
 * `x` [B, C_in, D, Y, X] in f32 or f16; `weight` [C_out, C_in/groups, kD, kY, kX] and `bias` [C_out] in f32, or no bias. Result in the type of `x`, [B, C_out, …] with
 * floor((extent + padding − dilation·(kernel − 1) − 1)/stride) + 1 positions an axis. Saves x and weight. Gradients: x, weight, bias.
 */
export const conv3d = defineOp('conv3d', (x: Tensor, weight: Tensor, bias: Tensor | null, options: Conv3dOptions = {}): Tensor => {
  const { engine } = x;
  const dtype = floatType(x, 'conv3d', 'x');
  checkDType(weight, 'conv3d', 'weight');
  const geometry = { ...geometryOf(x.shape, weight.shape, options), dtype, plan: options.plan };
  const { batch, groups, outChannels, outExtent } = geometry;
  if (bias) {
    checkTensor(bias, 'conv3d', 'bias', [groups * outChannels]);
    checkDType(bias, 'conv3d', 'bias');
  }
  const y = engine.empty([batch, groups * outChannels, ...outExtent], dtype);
  runForward(x, weight, bias, y, geometry, choosePlan(engine, 'forward', geometry));
  return record(y, 'conv3d', [x, weight, bias], { x, weight }, (dY, saved, [needsX, needsWeight, needsBias]) => [
    needsX ? inputGradient(dY, saved.weight, geometry, choosePlan(engine, 'input-gradient', geometry)) : null,
    needsWeight ? weightGradient(saved.x, dY, geometry, choosePlan(engine, 'weight-gradient', geometry)) : null,
    needsBias ? biasGradient(dY, geometry) : null,
  ]);
});

/** The plan asked for, or the engine's choice. */
function choosePlan(engine: Engine, pass: Pass, geometry: Geometry): ChannelPlan {
  const { batch, groups, inChannels, outChannels, outExtent, kernel, stride } = geometry;
  const { device } = engine;
  const fixed = fixedPlan(device, pass, geometry);
  if (geometry.plan || geometry.dtype === 'f16') return fixed; // plans are measured with f32
  return engine.plans.choose(fixed, () => {
    const others = (['subgroup', 'wide', 'tiled', 'single'] as const).filter((plan) => plan !== fixed && (plan !== 'subgroup' || hasSubgroupsOf8(device)));
    const taps = product(kernel);
    const positions = product(outExtent);
    return {
      op: `conv3d.${pass}`,
      extents: { batch, groups, in: inChannels, out: outChannels, taps, positions, stride: product(stride) },
      plans: [fixed, ...others],
      trial: conv3dTrial(pass, geometry),
    };
  });
}

/** The plan that was fastest on this kind of adapter for so many output channels, or what comes closest to the plan asked for. */
function fixedPlan(device: Device, pass: Pass, geometry: Geometry): ChannelPlan {
  const { plan: wanted, inChannels, outChannels } = geometry;
  const made = pass === 'input-gradient' ? inChannels : outChannels;
  const broadcasts = broadcastsInRegisters(device);
  if ((wanted ?? 'subgroup') === 'subgroup' && made >= minSubgroupChannels && broadcasts) return 'subgroup';
  if (made < minTiledChannels) return 'single';
  return wanted === 'wide' || (wanted === undefined && device.isSoftware && !broadcasts) ? 'wide' : 'tiled';
}

function conv3dTrial(pass: Pass, geometry: Geometry): PlanTrial<ChannelPlan> {
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel } = geometry;
  const shapes = { x: [batch, groups * inChannels, ...inExtent], weight: [groups * outChannels, inChannels, ...kernel], y: [batch, groups * outChannels, ...outExtent] };
  return (operand) => {
    if (pass === 'input-gradient') {
      const [dY, weight] = [operand(shapes.y), operand(shapes.weight)];
      return (plan) => [inputGradient(dY, weight, geometry, plan)];
    }
    const x = operand(shapes.x);
    if (pass === 'weight-gradient') {
      const dY = operand(shapes.y);
      return (plan) => [weightGradient(x, dY, geometry, plan)];
    }
    const weight = operand(shapes.weight);
    return (plan) => {
      const y = x.engine.empty(shapes.y);
      runForward(x, weight, null, y, geometry, plan);
      return [y];
    };
  };
}

function runForward(x: Tensor, weight: Tensor, bias: Tensor | null, y: Tensor, geometry: Geometry, plan: ChannelPlan): void {
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const taps = product(kernel);
  const gather = prepareGather(weight, { groups, inChannels, outChannels, taps, inStride: taps, outStride: inChannels * taps, plan, geometry });
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
function inputGradient(dY: Tensor, weight: Tensor, geometry: Geometry, plan: ChannelPlan): Tensor {
  const { batch, groups, inChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const { engine } = dY;
  const shape = [batch, groups * inChannels, ...inExtent];
  const slab = Math.floor((engine.device.bindingLimit * inExtent[0]) / (bytesPerElement[dY.dtype] * sizeOf(shape)));
  if (slab >= inExtent[0] || slab === 0 || product(stride) === 1) return inputGradientByPhases(dY, weight, geometry, plan);
  const dX = engine.empty(shape, dY.dtype);
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
    const dPart = inputGradientByPhases(rows, weight, part, plan);
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
function inputGradientByPhases(dY: Tensor, weight: Tensor, geometry: Geometry, plan: ChannelPlan): Tensor {
  const { engine } = dY;
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel } = geometry;
  const taps = product(kernel);
  const dX = engine.empty([batch, groups * inChannels, ...inExtent], dY.dtype);
  const gather = prepareGather(weight, { groups, inChannels: outChannels, outChannels: inChannels, taps, inStride: inChannels * taps, outStride: taps, plan, geometry });
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
  plan: ChannelPlan;
  geometry: Geometry;
}

/** A gather convolution's kernel, the weight as that kernel reads it, and their params. */
function prepareGather(weight: Tensor, { groups, inChannels, outChannels, taps, inStride, outStride, plan, geometry }: WeightLayout) {
  const params = { groups, in_channels: inChannels, out_channels: outChannels, taps, weight_in_stride: inStride, weight_out_stride: outStride };
  const kernel = gatherKernel(plan, geometry);
  if (plan === 'single') return { kernel, weight, params };
  const packed = weight.engine.empty([groups, Math.ceil(outChannels / channelTile), taps, inChannels, channelTile]);
  runKernel(packWeightKernel, { weight, y: packed }, params);
  return { kernel, weight: packed, params };
}

function weightGradient(x: Tensor, dY: Tensor, geometry: Geometry, plan: ChannelPlan): Tensor {
  const { batch, groups, inChannels, outChannels, inExtent, outExtent, kernel, stride, before, dilation } = geometry;
  const columns = inChannels * product(kernel);
  const rows = batch * outExtent[0] * outExtent[1];
  const { kernel: gradientKernel, workgroupsPerChunk } = weightGradientKernel(plan, geometry);
  const shape = [groups * outChannels, inChannels, ...kernel];
  const mostChunks = Math.max(1, Math.floor(x.engine.device.bindingLimit / (4 * sizeOf(shape)))); // all partial sums are bound at once
  const rowsPerChunk = Math.ceil(rows / Math.min(rows, mostChunks, Math.ceil(weightGradientWorkgroups / workgroupsPerChunk)));
  const chunks = Math.ceil(rows / rowsPerChunk);
  const parts = x.engine.empty([chunks, ...shape]);
  runKernel(gradientKernel, { x, dy: dY, d_weight: parts }, {
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
function visitProducts(xShape: Shape, weightShape: Shape, options: Conv3dOptions, visit: (x: number, weight: number, y: number) => void): Omit<Geometry, 'plan' | 'dtype'> {
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
