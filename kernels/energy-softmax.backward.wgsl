// Gradient of an attention map with respect to its energies:
//   dz = p (dp − Σ p dp) / tau,  de = rstd (dz − mean(dz) − z mean(dz z)), where Σ dz = 0 because Σ p = 1.
// e, p, dp, de: [rows, columns]. mean, rstd: [rows]. One workgroup a row.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, tau: f32 }

@group(0) @binding(0) var<storage, read> e: array<f32>;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read> dp: array<f32>;
@group(0) @binding(5) var<storage, read_write> de: array<f32>;
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
  for (var n = start + lane; n < start + params.columns; n += WORKGROUP_SIZE) {
    partial += p[n] * dp[n];
  }
  let along = workgroup_sum(partial, lane);
  partial = 0.0;
  for (var n = start + lane; n < start + params.columns; n += WORKGROUP_SIZE) {
    partial += p[n] * (dp[n] - along) * (e[n] - mean[row]) * rstd[row];
  }
  let mean_z = workgroup_sum(partial, lane) / f32(params.columns);
  for (var n = start + lane; n < start + params.columns; n += WORKGROUP_SIZE) {
    de[n] = rstd[row] / params.tau * (p[n] * (dp[n] - along) - (e[n] - mean[row]) * rstd[row] * mean_z);
  }
}
