// An attention map from energies: z = (e − mean) rstd, rstd = 1/√(var + epsilon), var biased; p = softmax(z / tau), along each row.
// e, p: [rows, columns]. mean, rstd: [rows], saved for backward. One workgroup a row; the maximum is taken out first.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, tau: f32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> e: array<f32>;
@group(0) @binding(1) var<storage, read_write> p: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

var<workgroup> largest: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  var partial = 0.0;
  var peak = -3.0e38;
  for (var n = lane; n < params.columns; n += WORKGROUP_SIZE) {
    partial += e[start + n];
    peak = max(peak, e[start + n]);
  }
  largest[lane] = peak;
  let row_mean = workgroup_sum(partial, lane) / f32(params.columns);
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      largest[lane] = max(largest[lane], largest[lane + half]);
    }
    workgroupBarrier();
  }
  partial = 0.0;
  for (var n = lane; n < params.columns; n += WORKGROUP_SIZE) {
    let deviation = e[start + n] - row_mean;
    partial += deviation * deviation;
  }
  let row_rstd = inverseSqrt(workgroup_sum(partial, lane) / f32(params.columns) + params.epsilon);
  let steep = row_rstd / params.tau;
  let top = largest[0];
  partial = 0.0;
  for (var n = lane; n < params.columns; n += WORKGROUP_SIZE) {
    let value = exp((e[start + n] - top) * steep);
    p[start + n] = value;
    partial += value;
  }
  let share = 1.0 / workgroup_sum(partial, lane);
  for (var n = lane; n < params.columns; n += WORKGROUP_SIZE) {
    p[start + n] *= share;
  }
  if (lane == 0u) {
    mean[row] = row_mean;
    rstd[row] = row_rstd;
  }
}
