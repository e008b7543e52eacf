// Softmax along one axis: y = exp(x - max x) / Σ exp(x - max x).
// x, y: [outer, length, inner], softmax over `length`.
// One invocation a row (outer, inner): for many short rows, where a workgroup a row would idle.
override WORKGROUP_SIZE: u32 = 64;

struct Params { outer: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

const LOWEST = -3.4e38; // below every finite logit that matters; keeps rows of -inf free of NaN

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.outer * params.inner) {
    return;
  }
  let start = (row / params.inner) * params.length * params.inner + row % params.inner;
  let end = start + params.length * params.inner;
  var largest = LOWEST;
  for (var i = start; i < end; i += params.inner) {
    largest = max(largest, x[i]);
  }
  var sum = 0.0;
  for (var i = start; i < end; i += params.inner) {
    let e = exp(max(x[i], LOWEST) - largest);
    y[i] = e;
    sum += e;
  }
  let rsum = 1.0 / sum;
  for (var i = start; i < end; i += params.inner) {
    y[i] *= rsum;
  }
}
