// y = scale Σ_r x over the middle axis, for one chunk of it. x: [outer, extent, inner]. y: [outer, chunks, inner]: with one chunk the
// sum itself, with more the partial sums, which a further run adds up. One invocation an element of y; neighbours read neighbouring
// addresses where inner > 1. Fixed order, so deterministic.
override WORKGROUP_SIZE: u32 = 64;

struct Params { outer: u32, extent: u32, inner: u32, per_chunk: u32, chunks: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.outer * params.chunks * params.inner) {
    return;
  }
  let c = i % params.inner;
  let part = i / params.inner;
  let first = (part % params.chunks) * params.per_chunk;
  let last = min(first + params.per_chunk, params.extent);
  let start = (part / params.chunks) * params.extent;
  var sum = 0.0;
  for (var r = start + first; r < start + last; r++) {
    sum += f32(x[r * params.inner + c]);
  }
  y[i] = y_t(params.scale * sum);
}
