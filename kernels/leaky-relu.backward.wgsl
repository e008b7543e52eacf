// dX = dY where x > 0, else slope dY (at 0 the slope, as PyTorch). x, dy, dx: [count]. One invocation an element.
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32, slope: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i < params.count) {
    dx[i] = dy[i] * select(params.slope, 1.0, x[i] > 0.0);
  }
}
