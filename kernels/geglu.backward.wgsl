// Gradient of y = v gelu(g), x = [v, g]:  dV = dY gelu(g),  dG = dY v gelu'(g).
// x, dx: [rows, 2 columns]. dy: [rows, columns]. One invocation an element of dy writes both halves.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/erf.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.rows * params.columns) {
    return;
  }
  let at = i + (i / params.columns) * params.columns;
  let gate = x[at + params.columns];
  dx[at] = dy[i] * gelu(gate);
  dx[at + params.columns] = dy[i] * x[at] * gelu_derivative(gate);
}
