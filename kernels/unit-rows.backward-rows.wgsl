// unit-rows.backward.wgsl with one invocation a row, for adapters that run on the CPU. Same bindings, same formula.
override WORKGROUP_SIZE: u32 = 32;

struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> log_scale: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
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
  var along = 0.0;
  for (var i = start; i < end; i++) {
    along += y[i] * g[i];
  }
  let factor = dy[0] * exp(log_scale[0]) / max(norm[row], params.epsilon);
  for (var i = start; i < end; i++) {
    dx[i] = factor * (g[i] - y[i] * along);
  }
}
