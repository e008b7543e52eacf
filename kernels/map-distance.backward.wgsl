// Gradient of the distance of unit maps with respect to s, with a = s/‖s‖, c = t/‖t‖ and g = 2 (a − c), so that a·g = L:
//   ds = dY (g − a L) / ‖s‖.
// s, t, ds: [rows, columns]. distance (L), s_rnorm, t_rnorm, dy: [rows]. One invocation an element.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read> t: array<f32>;
@group(0) @binding(2) var<storage, read> distance: array<f32>;
@group(0) @binding(3) var<storage, read> s_rnorm: array<f32>;
@group(0) @binding(4) var<storage, read> t_rnorm: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> ds: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.rows * params.columns) {
    return;
  }
  let row = i / params.columns;
  let a = s[i] * s_rnorm[row];
  let c = t[i] * t_rnorm[row];
  ds[i] = dy[row] * s_rnorm[row] * (2.0 * (a - c) - a * distance[row]);
}
