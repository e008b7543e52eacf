// Gradient of softmax along one axis, from its output: dX = y (dY - Σ dY y).
// y, dy, dx: [outer, length, inner], softmax over `length`.
// One invocation a row (outer, inner): for many short rows, where a workgroup a row would idle.
override WORKGROUP_SIZE: u32 = 64;

struct Params { outer: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.outer * params.inner) {
    return;
  }
  let start = (row / params.inner) * params.length * params.inner + row % params.inner;
  let end = start + params.length * params.inner;
  var mean = 0.0;
  for (var i = start; i < end; i += params.inner) {
    mean += dy[i] * y[i];
  }
  for (var i = start; i < end; i += params.inner) {
    dx[i] = y[i] * (dy[i] - mean);
  }
}
