// L2 normalisation of each row: y = x / max(‖x‖, epsilon). x, y: [rows, columns]. norm: [rows], ‖x‖, saved for backward.
// One workgroup a row: each invocation strides over the columns.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  var partial = 0.0;
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    partial += x[start + c] * x[start + c];
  }
  let row_norm = sqrt(workgroup_sum(partial, lane));
  let scale = 1.0 / max(row_norm, params.epsilon);
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    y[start + c] = x[start + c] * scale;
  }
  if (lane == 0u) {
    norm[row] = row_norm;
  }
}
