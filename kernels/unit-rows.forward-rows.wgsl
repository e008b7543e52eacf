// unit-rows.forward.wgsl with one invocation a row, for adapters that run on the CPU. Same bindings, same formula.
override WORKGROUP_SIZE: u32 = 32;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> rnorm: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  let end = start + params.columns;
  var square = 0.0;
  for (var i = start; i < end; i++) {
    square += x[i] * x[i];
  }
  let row_rnorm = 1.0 / max(sqrt(square), params.epsilon);
  for (var i = start; i < end; i++) {
    y[i] = x[i] * row_rnorm;
  }
  rnorm[row] = row_rnorm;
}
