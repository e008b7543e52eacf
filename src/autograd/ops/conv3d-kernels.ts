/** The kernels of conv3d without matrix products, and what an invocation of each makes. */
import backwardBiasSource from '../../../kernels/conv3d.backward-bias.wgsl';
import backwardWeightSingleSource from '../../../kernels/conv3d.backward-weight-single.wgsl';
import backwardWeightSubgroupSource from '../../../kernels/conv3d.backward-weight-subgroup.wgsl';
import backwardWeightWideSource from '../../../kernels/conv3d.backward-weight-wide.wgsl';
import backwardWeightWindowSubgroupSource from '../../../kernels/conv3d.backward-weight-window-subgroup.wgsl';
import backwardWeightWindowSource from '../../../kernels/conv3d.backward-weight-window.wgsl';
import backwardWeightSource from '../../../kernels/conv3d.backward-weight.wgsl';
import packWeightSource from '../../../kernels/conv3d.pack-weight.wgsl';
import singleSource from '../../../kernels/conv3d.single.wgsl';
import subgroupSource from '../../../kernels/conv3d.subgroup.wgsl';
import tiledSource from '../../../kernels/conv3d.tiled.wgsl';
import wideSource from '../../../kernels/conv3d.wide.wgsl';
import windowSource from '../../../kernels/conv3d.window.wgsl';
import { defineKernel, floats, type Kernel, type KernelSpec, type ParamType } from '../../engine/index.ts';
import { innermost } from '../split-axes.ts';
import { channelTile, gatherAxes, packAxes, weightGradientAxes } from './conv3d-axes.ts';
import { product, type Geometry, type Triple } from './conv3d-geometry.ts';

/**
 * How many output channels an invocation makes at once: one, a tile of `channelTile` (`wide`: at twice as many positions), or
 * `subgroupTile` with broadcasts.
 */
export type ChannelPlan = 'single' | 'tiled' | 'wide' | 'subgroup';

const subgroupTile = 16; // output channels of the subgroup kernels
const laneTile = 4; // positions or columns at which an invocation of the tiled kernels computes `channelTile` output channels
const wideTile = 2 * laneTile; // of the wide kernels
const windowTaps = 3; // along X, of the window kernels

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
  elements: floats('x', 'y'),
  params: gatherParams,
  constants: { LANES: 32 },
  workgroups: gatherWorkgroups(channelTile, laneTile),
  split: (params) => gatherAxes(params, true),
});

const wideKernel = defineKernel({ ...tiledKernel, label: 'conv3d.wide', source: wideSource, constants: { LANES: 8 }, workgroups: gatherWorkgroups(channelTile, wideTile) });

const subgroupKernel = defineKernel({
  ...tiledKernel,
  label: 'conv3d.subgroup',
  source: subgroupSource,
  constants: { LANES: 8 },
  workgroups: gatherWorkgroups(subgroupTile, laneTile),
  features: ['subgroups'],
});

const windowKernel = defineKernel({
  ...wideKernel,
  label: 'conv3d.window',
  source: windowSource,
  // An invocation makes neighbouring positions of one line.
  workgroups: ({ batch, groups, out_channels, positions }, { LANES }) => {
    const [depth, rows, columns] = positions as unknown as [number, number, number];
    return Math.ceil((batch! * depth * rows * Math.ceil(columns / wideTile)) / LANES!) * groups! * Math.ceil(out_channels! / channelTile);
  },
});

const singleKernel = defineKernel({
  label: 'conv3d.single',
  source: singleSource,
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: gatherParams,
  constants: { LANES: 32 },
  workgroups: gatherWorkgroups(1, laneTile),
  split: (params) => gatherAxes(params, false),
});

/** The kernel of the forward pass and of the gradient of the input. */
export function gatherKernel(plan: ChannelPlan, geometry: Geometry): Kernel {
  if (plan === 'wide' && hasWindow(geometry)) return windowKernel;
  return { single: singleKernel, tiled: tiledKernel, wide: wideKernel, subgroup: subgroupKernel }[plan];
}

/** Whether the taps along X of neighbouring positions read neighbouring inputs, as many as the window kernels have. */
function hasWindow({ kernel, stride, dilation }: Geometry): boolean {
  return kernel[2] === windowTaps && stride[2] === 1 && dilation[2] === 1;
}

export const packWeightKernel = defineKernel({
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

/** What an invocation of a kernel of the weight gradient makes: `channels` × `columns`, a column being an input channel and a tap. */
interface WeightTile {
  channels: number;
  columns: number;
  lanes: number;
}

/** The kernels that make the weight gradient of chunks of output lines. */
const weightTiles = {
  single: { channels: 1, columns: 1, lanes: 32 },
  tiled: { channels: channelTile, columns: laneTile, lanes: 8 },
  wide: { channels: channelTile, columns: wideTile, lanes: 8 },
  window: { channels: channelTile, columns: 2 * windowTaps, lanes: 8 },
  subgroup: { channels: subgroupTile, columns: laneTile, lanes: 8 },
  windowSubgroup: { channels: subgroupTile, columns: windowTaps, lanes: 8 },
} satisfies Record<string, WeightTile>;

type WeightShape = Pick<Geometry, 'groups' | 'inChannels' | 'outChannels' | 'kernel'>;

const workgroupsOfChunk = ({ channels, columns, lanes }: WeightTile, { groups, inChannels, outChannels, kernel }: WeightShape): number =>
  groups * Math.ceil(outChannels / channels) * Math.ceil((inChannels * product(kernel)) / (columns * lanes));

function weightKernel(label: string, source: string, tile: WeightTile, features: KernelSpec['features'] = []): Kernel {
  return defineKernel({
    label,
    source,
    inputs: ['x', 'dy'],
    outputs: ['d_weight'],
    elements: floats('x', 'dy'),
    params: weightParams,
    constants: { LANES: tile.lanes },
    workgroups: ({ groups, in_channels, out_channels, chunks, kernel }) =>
      chunks! * workgroupsOfChunk(tile, { groups: groups!, inChannels: in_channels!, outChannels: out_channels!, kernel: kernel as unknown as Triple }),
    split: weightGradientAxes,
    features,
  });
}

const weightKernels: Record<keyof typeof weightTiles, Kernel> = {
  single: weightKernel('conv3d.backward-weight-single', backwardWeightSingleSource, weightTiles.single),
  tiled: weightKernel('conv3d.backward-weight', backwardWeightSource, weightTiles.tiled),
  wide: weightKernel('conv3d.backward-weight-wide', backwardWeightWideSource, weightTiles.wide),
  window: weightKernel('conv3d.backward-weight-window', backwardWeightWindowSource, weightTiles.window),
  subgroup: weightKernel('conv3d.backward-weight-subgroup', backwardWeightSubgroupSource, weightTiles.subgroup, ['subgroups']),
  windowSubgroup: weightKernel('conv3d.backward-weight-window-subgroup', backwardWeightWindowSubgroupSource, weightTiles.windowSubgroup, ['subgroups']),
};

/** The kernel of the weight gradient, and the workgroups that it takes for one chunk. */
export function weightGradientKernel(plan: ChannelPlan, geometry: Geometry): { kernel: Kernel; workgroupsPerChunk: number } {
  const windowed = ({ wide: 'window', subgroup: 'windowSubgroup' } as const)[plan as 'wide' | 'subgroup'];
  const name = windowed && hasWindow(geometry) ? windowed : plan;
  return { kernel: weightKernels[name], workgroupsPerChunk: workgroupsOfChunk(weightTiles[name], geometry) };
}

export const backwardBiasKernel = defineKernel({
  label: 'conv3d.backward-bias',
  source: backwardBiasSource,
  inputs: ['dy'],
  outputs: ['d_bias'],
  elements: floats('dy'),
  params: { rows: 'u32', columns: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  workgroups: ({ rows }) => rows!,
  slab: { param: 'rows', bindings: ['dy', 'd_bias'] },
  split: ({ columns }) => [{ ...innermost('columns', columns!, 'dy'), sums: ['d_bias'] }],
});
