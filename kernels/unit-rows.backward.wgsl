// Gradient through rows scaled to unit length, of a loss that sees them through e^{log_scale} and a scalar dY:
//   dX = dY e^{log_scale} (g − y (y·g)) / max(norm, epsilon).
// y, g, dx: [rows, columns]. norm: [rows], before scaling. log_scale, dy: [1]. One workgroup a row.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> log_scale: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
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
    partial += y[start + c] * g[start + c];
  }
  let along = workgroup_sum(partial, lane);
  let factor = dy[0] * exp(log_scale[0]) / max(norm[row], params.epsilon);
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    dx[start + c] = factor * (g[start + c] - y[start + c] * along);
  }
}
