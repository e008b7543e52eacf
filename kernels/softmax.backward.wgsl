// Gradient of softmax along one axis, from its output: dX = y (dY - Σ dY y).
// y, dy, dx: [outer, length, inner], softmax over `length`.
// One workgroup a row (outer, inner), each invocation strides over `length`: for long rows.
override WORKGROUP_SIZE: u32 = 64;

struct Params { outer: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.outer * params.inner) {
    return;
  }
  let start = (row / params.inner) * params.length * params.inner + row % params.inner;
  var partial = 0.0;
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    let i = start + t * params.inner;
    partial += dy[i] * y[i];
  }
  let mean = workgroup_sum(partial, lane);
  for (var t = lane; t < params.length; t += WORKGROUP_SIZE) {
    let i = start + t * params.inner;
    dx[i] = y[i] * (dy[i] - mean);
  }
}
