// Rows of another length: y = x, with zeros appended or the end cut off. x: [rows, from_columns]. y: [rows, columns].
// One invocation an element of y.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, from_columns: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.rows * params.columns) {
    return;
  }
  let c = i % params.columns;
  var value = 0.0;
  if (c < params.from_columns) {
    value = f32(x[(i / params.columns) * params.from_columns + c]);
  }
  y[i] = y_t(value);
}
