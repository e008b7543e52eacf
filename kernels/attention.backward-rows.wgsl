// What the backward passes of attention need of each query row: row = (m, 1 / Σ exp(s - m), δ = dY·y, 0).
// y, dy: [rows, D], D = 4 vecs. stats: [rows]. row: [rows]. One invocation a row.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, vecs: u32 }

@group(0) @binding(0) var<storage, read> y: array<vec4<y_t>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<dy_t>>;
@group(0) @binding(2) var<storage, read> stats: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> row: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.rows) {
    return;
  }
  var delta = 0.0;
  for (var c = 0u; c < params.vecs; c++) {
    delta += dot(vec4f(y[i * params.vecs + c]), vec4f(dy[i * params.vecs + c]));
  }
  row[i] = vec4f(stats[i], delta, 0.0);
}
