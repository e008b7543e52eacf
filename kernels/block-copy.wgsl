// Copies a block of columns between two matrices: y[r, y_first + c] = x[r, x_first + c], c < columns. Copies bits.
// x: [rows, x_columns]. y: [rows, y_columns]; its other columns are left as they are. An invocation RUN copied elements.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;

struct Params { rows: u32, columns: u32, x_columns: u32, x_first: u32, y_columns: u32, y_first: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.rows * params.columns);
  for (var i = first; i < end; i++) {
    let row = i / params.columns;
    let column = i - row * params.columns;
    y[row * params.y_columns + params.y_first + column] = x[row * params.x_columns + params.x_first + column];
  }
}
