// Gradient of y = x / max(‖x‖, epsilon):  dX = (dY - y (y·dY)) / ‖x‖, and dY / epsilon where ‖x‖ ≤ epsilon.
// y, dy, dx: [rows, columns]. norm: [rows]. One workgroup a row.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

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
    partial += y[start + c] * dy[start + c];
  }
  let along = workgroup_sum(partial, lane);
  let projection = select(0.0, along, norm[row] > params.epsilon);
  let scale = 1.0 / max(norm[row], params.epsilon);
  for (var c = lane; c < params.columns; c += WORKGROUP_SIZE) {
    dx[start + c] = (dy[start + c] - y[start + c] * projection) * scale;
  }
}
