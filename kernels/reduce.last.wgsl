// y = scale Σ_c x over the last axis, for one chunk of it. x: [rows, columns]. y: [rows, chunks]: with one chunk the sum itself, with
// more the partial sums, which a further run adds up. One workgroup a row and chunk: each invocation strides over the columns.
override WORKGROUP_SIZE: u32 = 64;

struct Params { rows: u32, columns: u32, per_chunk: u32, chunks: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let part = flat_workgroup(group, groups);
  if (part >= params.rows * params.chunks) {
    return;
  }
  let start = (part / params.chunks) * params.columns;
  let first = (part % params.chunks) * params.per_chunk;
  let last = min(first + params.per_chunk, params.columns);
  var partial = 0.0;
  for (var c = first + lane; c < last; c += WORKGROUP_SIZE) {
    partial += f32(x[start + c]);
  }
  let sum = workgroup_sum(partial, lane);
  if (lane == 0u) {
    y[part] = y_t(params.scale * sum);
  }
}
