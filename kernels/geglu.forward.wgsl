// GEGLU (Shazeer 2020, arXiv 2002.05202): y = v gelu(g), x = [v, g]. x: [rows, 2 columns]. y: [rows, columns].
// One invocation an element of y.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/erf.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.rows * params.columns) {
    return;
  }
  // Row r starts at 2 r columns: one more `r columns` than i.
  let at = i + (i / params.columns) * params.columns;
  y[i] = x[at] * gelu(x[at + params.columns]);
}
