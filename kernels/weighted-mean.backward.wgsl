// dx = weight · dY / count for every element of a mean. dx: [count]. dy: [1]. One invocation an element.
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32, weight: f32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i < params.count) {
    dx[i] = params.weight * dy[0] / f32(params.count);
  }
}
