// d = ½ (dG + dGᵀ). dg, d: [batches, channels, channels]. One invocation an element.
override WORKGROUP_SIZE: u32 = 64;

struct Params { batches: u32, channels: u32 }

@group(0) @binding(0) var<storage, read> dg: array<f32>;
@group(0) @binding(1) var<storage, read_write> d: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  let square = params.channels * params.channels;
  if (i >= params.batches * square) {
    return;
  }
  let row = (i % square) / params.channels;
  let column = i % params.channels;
  d[i] = 0.5 * (dg[i] + dg[i - row * params.channels - column + column * params.channels + row]);
}
