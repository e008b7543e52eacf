// layer-norm.backward-input-rows.wgsl with four columns a load, for columns that are a multiple of 4. Same formulas.
// x, dy, dx: [rows, columns]. weight: [columns]. mean, rstd: [rows]. An invocation a row.
override WORKGROUP_SIZE: u32 = 8;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<x_t>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<dy_t>>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4<dx_t>>;
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
  let row_mean = mean[row];
  let row_rstd = rstd[row];
  var sum_g = vec4f();
  var sum_gx = vec4f();
  for (var c = 0u; c < vectors; c++) {
    let g = vec4f(dy[start + c]) * weight[c];
    sum_g += g;
    sum_gx += g * (vec4f(x[start + c]) - row_mean);
  }
  let mean_g = (sum_g.x + sum_g.y + sum_g.z + sum_g.w) / f32(params.columns);
  let mean_gx = row_rstd * (sum_gx.x + sum_gx.y + sum_gx.z + sum_gx.w) / f32(params.columns);
  for (var c = 0u; c < vectors; c++) {
    let normalized = (vec4f(x[start + c]) - row_mean) * row_rstd;
    dx[start + c] = vec4<dx_t>(row_rstd * (vec4f(dy[start + c]) * weight[c] - mean_g - normalized * mean_gx));
  }
}
