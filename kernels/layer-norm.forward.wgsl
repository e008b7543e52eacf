// Layer normalisation over the last axis (Ba et al. 2016, arXiv 1607.06450):
//   y = (x - mean) * rstd * weight + bias,  rstd = 1 / sqrt(var + epsilon),  var biased.
// x, y: [rows, columns]. weight, bias: [columns]. mean, rstd: [rows], saved for backward.
// One workgroup a row: each invocation strides over the columns. Two passes (mean, then squared deviations), so that a large
// mean does not cancel the variance.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<y_t>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

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
    partial += f32(x[start + c]);
  }
  let row_mean = workgroup_sum(partial, lane) / f32(params.columns);
  partial = 0.0;
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    let deviation = f32(x[start + c]) - row_mean;
    partial += deviation * deviation;
  }
  let row_rstd = inverseSqrt(workgroup_sum(partial, lane) / f32(params.columns) + params.epsilon);
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    y[start + c] = y_t((f32(x[start + c]) - row_mean) * row_rstd * weight[c] + bias[c]);
  }
  if (lane == 0u) {
    mean[row] = row_mean;
    rstd[row] = row_rstd;
  }
}
