// Lays a convolution's weight out for conv3d.tiled: y[g, block, tap, c, k] = weight of output channel 8·block + k, zero past the last.
// weight: [groups, in_channels·out_channels, taps] with the strides of the two channel axes in the params (exchanged for the
// gradient of the input). y: [groups, blocks, taps, in_channels, 8].
// One invocation an element of y.
override WORKGROUP_SIZE: u32 = 64;

struct Params { groups: u32, in_channels: u32, out_channels: u32, taps: u32, weight_in_stride: u32, weight_out_stride: u32 }

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let blocks = (params.out_channels + 7u) / 8u;
  if (i >= params.groups * blocks * params.taps * params.in_channels * 8u) {
    return;
  }
  let c = i / 8u % params.in_channels;
  let tap = i / (8u * params.in_channels) % params.taps;
  let block = i / (8u * params.in_channels * params.taps);
  let g = block / blocks;
  let o = block % blocks * 8u + i % 8u;
  if (o >= params.out_channels) {
    y[i] = 0.0;
    return;
  }
  let group_size = params.in_channels * params.out_channels * params.taps;
  y[i] = weight[g * group_size + o * params.weight_out_stride + c * params.weight_in_stride + tap];
}
