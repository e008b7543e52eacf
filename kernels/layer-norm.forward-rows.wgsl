// layer-norm.forward.wgsl with one invocation a row, for adapters that run on the CPU: there a workgroup barrier costs more than
// the row itself. Same bindings, same formulas.
override WORKGROUP_SIZE: u32 = 32;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  let end = start + params.columns;
  var sum = 0.0;
  for (var i = start; i < end; i++) {
    sum += f32(x[i]);
  }
  let row_mean = sum / f32(params.columns);
  var squares = 0.0;
  for (var i = start; i < end; i++) {
    let deviation = f32(x[i]) - row_mean;
    squares += deviation * deviation;
  }
  let row_rstd = inverseSqrt(squares / f32(params.columns) + params.epsilon);
  for (var c = 0u; c < params.columns; c++) {
    y[start + c] = y_t((f32(x[start + c]) - row_mean) * row_rstd * weight[c] + bias[c]);
  }
  mean[row] = row_mean;
  rstd[row] = row_rstd;
}
