// layer-norm.forward-rows.wgsl with four columns a load, for columns that are a multiple of 4: on CPU adapters a load costs nearly the
// same for one value as for four. Same formulas.
// x, y: [rows, columns]. weight, bias: [columns]. mean, rstd: [rows]. An invocation a row.
override WORKGROUP_SIZE: u32 = 8;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<x_t>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<y_t>>;
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
  let vectors = params.columns / 4u;
  let start = row * vectors;
  let end = start + vectors;
  var sum = vec4f();
  for (var i = start; i < end; i++) {
    sum += vec4f(x[i]);
  }
  let row_mean = (sum.x + sum.y + sum.z + sum.w) / f32(params.columns);
  var squares = vec4f();
  for (var i = start; i < end; i++) {
    let deviation = vec4f(x[i]) - row_mean;
    squares += deviation * deviation;
  }
  let row_rstd = inverseSqrt((squares.x + squares.y + squares.z + squares.w) / f32(params.columns) + params.epsilon);
  for (var c = 0u; c < vectors; c++) {
    y[start + c] = vec4<y_t>((vec4f(x[start + c]) - row_mean) * row_rstd * weight[c] + bias[c]);
  }
  mean[row] = row_mean;
  rstd[row] = row_rstd;
}
