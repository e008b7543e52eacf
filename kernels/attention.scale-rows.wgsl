// Divides the sums of weighted values by the sum of their weights: y_row ← y_row · stats_row.y. y: [rows, columns]. stats: [rows].
// An invocation a row.
override WORKGROUP_SIZE: u32 = 8;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> stats: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  let rsum = stats[row].y;
  let end = (row + 1u) * params.columns;
  for (var i = row * params.columns; i < end; i++) {
    y[i] *= rsum;
  }
}
