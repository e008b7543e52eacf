// y_c = Σ_rows x, for one chunk of rows. x: [rows, columns]. y: [chunks, columns]: with one chunk the sum itself, with more the
// partial sums, which a second run adds up. One invocation a column and chunk. Fixed order, so deterministic.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, rows_per_chunk: u32, chunks: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.columns * params.chunks) {
    return;
  }
  let c = i % params.columns;
  let first = (i / params.columns) * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.rows);
  var sum = 0.0;
  for (var row = first; row < last; row++) {
    sum += f32(x[row * params.columns + c]);
  }
  y[i] = sum;
}
