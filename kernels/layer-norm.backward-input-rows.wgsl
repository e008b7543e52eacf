// layer-norm.backward-input.wgsl with one invocation a row, for adapters that run on the CPU. Same bindings, same formulas.
override WORKGROUP_SIZE: u32 = 32;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<dy_t>;
@group(0) @binding(5) var<storage, read_write> dx: array<dx_t>;
@group(0) @binding(6) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  let row_mean = mean[row];
  let row_rstd = rstd[row];
  var sum_g = 0.0;
  var sum_gx = 0.0;
  for (var c = 0u; c < params.columns; c++) {
    let g = f32(dy[start + c]) * weight[c];
    sum_g += g;
    sum_gx += g * (f32(x[start + c]) - row_mean) * row_rstd;
  }
  let mean_g = sum_g / f32(params.columns);
  let mean_gx = sum_gx / f32(params.columns);
  for (var c = 0u; c < params.columns; c++) {
    let normalized = (f32(x[start + c]) - row_mean) * row_rstd;
    dx[start + c] = dx_t(row_rstd * (f32(dy[start + c]) * weight[c] - mean_g - normalized * mean_gx));
  }
}
