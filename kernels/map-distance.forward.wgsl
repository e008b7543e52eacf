// Squared distance of two maps scaled to unit length: L[b] = ‖s/‖s‖ − t/‖t‖‖² in [0, 4] (in [0, 2] for maps without negatives).
// s, t: [rows, columns]. distance, s_rnorm, t_rnorm: [rows]. One workgroup a row. The difference is formed element by element:
// 2 − 2 s·t would cancel for maps that nearly agree.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read> t: array<f32>;
@group(0) @binding(2) var<storage, read_write> distance: array<f32>;
@group(0) @binding(3) var<storage, read_write> s_rnorm: array<f32>;
@group(0) @binding(4) var<storage, read_write> t_rnorm: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.columns;
  var s_square = 0.0;
  var t_square = 0.0;
  for (var n = start + lane; n < start + params.columns; n += WORKGROUP_SIZE) {
    s_square += s[n] * s[n];
    t_square += t[n] * t[n];
  }
  let s_scale = 1.0 / max(sqrt(workgroup_sum(s_square, lane)), params.epsilon);
  let t_scale = 1.0 / max(sqrt(workgroup_sum(t_square, lane)), params.epsilon);
  var partial = 0.0;
  for (var n = start + lane; n < start + params.columns; n += WORKGROUP_SIZE) {
    let difference = s[n] * s_scale - t[n] * t_scale;
    partial += difference * difference;
  }
  let sum = workgroup_sum(partial, lane);
  if (lane == 0u) {
    distance[row] = sum;
    s_rnorm[row] = s_scale;
    t_rnorm[row] = t_scale;
  }
}
