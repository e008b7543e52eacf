import { sizeOf, type AxisLayout, type Params, type SplitAxis } from '../../engine/index.ts';
import { chunksOf, narrowedStrides, readWindow } from '../split-axes.ts';

/** Output channels of one block of the packed weight. */
export const channelTile = 8;

type Numbers = Record<string, number>;

function vectorOf(params: Numbers, name: string): number[] {
  return params[name] as unknown as number[];
}

function withComponent(params: Numbers, name: string, axis: number, value: number): number[] {
  return vectorOf(params, name).map((component, k) => (k === axis ? value : component));
}

/** How many positions lie before spatial axis `axis` in one channel. */
function outside(extent: readonly number[], axis: number): number {
  return sizeOf(extent.slice(0, axis));
}

/**
 * The axes of a gather convolution: items, groups, output positions along D, Y and X (with the input positions that they read), and
 * the channels of a single group. `packed` says which of the two layouts the weight has.
 */
export function gatherAxes(params: Numbers, packed: boolean): SplitAxis[] {
  const { batch, groups, in_channels, out_channels, has_bias } = params as Record<'batch' | 'groups' | 'in_channels' | 'out_channels' | 'has_bias', number>;
  const axes: SplitAxis[] = [
    { extent: batch, bindings: { x: {}, y: {} }, params: (_, count) => ({ batch: count }) },
    {
      extent: groups,
      bindings: { x: { outer: batch }, weight: {}, ...(has_bias && { bias: {} }), y: { outer: batch } },
      params: (_, count) => ({ groups: count }),
    },
    ...[0, 1, 2].map((axis) => positionAxis(params, axis, batch * groups * in_channels, batch * groups * out_channels)),
  ];
  if (groups > 1) return axes;
  return [
    ...axes,
    {
      extent: out_channels,
      unit: packed ? channelTile : 1,
      bindings: { weight: packed ? blocksOf(out_channels) : { inner: params.weight_out_stride! }, ...(has_bias && { bias: {} }), y: { outer: batch } },
      params: (_, count) => ({ out_channels: count, ...(packed ? {} : narrowedWeight(params, 'weight_out_stride', out_channels, count)) }),
    },
    {
      extent: in_channels,
      bindings: { x: { outer: batch }, weight: { inner: packed ? channelTile : params.weight_in_stride! } },
      params: (first, count) => ({
        in_channels: count,
        accumulate: first > 0 ? 1 : params.accumulate!,
        ...(packed ? {} : narrowedWeight(params, 'weight_in_stride', in_channels, count)),
      }),
      resumes: ['y'],
    },
  ];
}

function positionAxis(params: Numbers, axis: number, inRows: number, outRows: number): SplitAxis {
  const [inExtent, outExtent] = [vectorOf(params, 'in_extent'), vectorOf(params, 'out_extent')];
  const [base, stride, outStep, outOffset] = ['in_base', 'in_stride', 'out_step', 'out_offset'].map((name) => vectorOf(params, name)[axis]!) as [number, number, number, number];
  const extent = inExtent[axis]!;
  const reads = { stride, base, step: vectorOf(params, 'in_step')[axis]!, taps: vectorOf(params, 'tap_count')[axis]! };
  const read = (first: number, count: number): readonly [number, number] => readWindow(first, count, extent, reads);
  const written = (first: number, count: number): readonly [number, number] => [first * outStep + outOffset, (count - 1) * outStep + 1];
  return {
    extent: vectorOf(params, 'positions')[axis]!,
    bindings: {
      x: { outer: inRows * outside(inExtent, axis), extent, window: read },
      y: { outer: outRows * outside(outExtent, axis), extent: outExtent[axis]!, window: written },
    },
    params: (first, count) => ({
      positions: withComponent(params, 'positions', axis, count),
      in_extent: withComponent(params, 'in_extent', axis, read(first, count)[1]),
      in_base: withComponent(params, 'in_base', axis, base + first * stride - read(first, count)[0]),
      out_extent: withComponent(params, 'out_extent', axis, written(first, count)[1]),
      out_offset: withComponent(params, 'out_offset', axis, 0),
    }),
  };
}

function blocksOf(channels: number): AxisLayout {
  return chunksOf(channelTile, Math.ceil(channels / channelTile));
}

function narrowedWeight(params: Numbers, axis: 'weight_in_stride' | 'weight_out_stride', extent: number, count: number): Params {
  const [weight_in_stride, weight_out_stride] = narrowedStrides([params.weight_in_stride!, params.weight_out_stride!], params[axis]!, extent, count);
  return { weight_in_stride: weight_in_stride!, weight_out_stride: weight_out_stride! };
}

/** The axes along which a weight can be packed: groups, and channels of a single group. */
export function packAxes(params: Numbers): SplitAxis[] {
  const { groups, in_channels, out_channels, weight_in_stride, weight_out_stride } = params as Record<'groups' | 'in_channels' | 'out_channels' | 'weight_in_stride' | 'weight_out_stride', number>;
  const axes: SplitAxis[] = [{ extent: groups, bindings: { weight: {}, y: {} }, params: (_, count) => ({ groups: count }) }];
  if (groups > 1) return axes;
  return [
    ...axes,
    {
      extent: out_channels,
      unit: channelTile,
      bindings: { weight: { inner: weight_out_stride }, y: blocksOf(out_channels) },
      params: (_, count) => ({ out_channels: count, ...narrowedWeight(params, 'weight_out_stride', out_channels, count) }),
    },
    {
      extent: in_channels,
      bindings: { weight: { inner: weight_in_stride }, y: { inner: channelTile } },
      params: (_, count) => ({ in_channels: count, ...narrowedWeight(params, 'weight_in_stride', in_channels, count) }),
    },
  ];
}

/** The axes of the weight gradient: items and output positions, whose pieces are added up, groups, and channels of a single group. */
export function weightGradientAxes(params: Numbers): SplitAxis[] {
  const { batch, groups, in_channels, out_channels, chunks } = params as Record<'batch' | 'groups' | 'in_channels' | 'out_channels' | 'chunks', number>;
  const [inExtent, outExtent, kernel, stride, padding, dilation] = ['in_extent', 'out_extent', 'kernel', 'stride', 'padding', 'dilation'].map((name) => vectorOf(params, name)) as [number[], number[], number[], number[], number[], number[]];
  // Pieces keep the number of chunks, so that their partial sums add up.
  const chunked = (items: number, lines: number): Params => ({ rows_per_chunk: Math.ceil((items * lines) / chunks) });
  const lines = outExtent[0]! * outExtent[1]!;
  const positions = [0, 1, 2].map((axis): SplitAxis => {
    const read = (first: number, count: number): readonly [number, number] =>
      readWindow(first, count, inExtent[axis]!, { stride: stride[axis]!, base: -padding[axis]!, step: dilation[axis]!, taps: kernel[axis]! });
    return {
      extent: outExtent[axis]!,
      bindings: {
        x: { outer: batch * groups * in_channels * outside(inExtent, axis), extent: inExtent[axis]!, window: read },
        dy: { outer: batch * groups * out_channels * outside(outExtent, axis) },
      },
      params: (first, count) => ({
        in_extent: withComponent(params, 'in_extent', axis, read(first, count)[1]),
        out_extent: withComponent(params, 'out_extent', axis, count),
        padding: withComponent(params, 'padding', axis, padding[axis]! - first * stride[axis]! + read(first, count)[0]),
        ...chunked(batch, axis < 2 ? (lines / outExtent[axis]!) * count : lines),
      }),
      sums: ['d_weight'],
    };
  });
  const axes: SplitAxis[] = [
    { extent: batch, bindings: { x: {}, dy: {} }, params: (_, count) => ({ batch: count, ...chunked(count, lines) }), sums: ['d_weight'] },
    { extent: groups, bindings: { x: { outer: batch }, dy: { outer: batch }, d_weight: { outer: chunks } }, params: (_, count) => ({ groups: count }) },
    ...positions,
  ];
  if (groups > 1) return axes;
  return [
    ...axes,
    { extent: out_channels, bindings: { dy: { outer: batch }, d_weight: { outer: chunks } }, params: (_, count) => ({ out_channels: count }) },
    { extent: in_channels, bindings: { x: { outer: batch }, d_weight: { outer: chunks * out_channels } }, params: (_, count) => ({ in_channels: count }) },
  ];
}
