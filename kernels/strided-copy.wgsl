// y = x read with other strides: permutation (strides in another order) or expansion (stride 0). Copies bits, whatever the type.
// y: [count], row-major over `extents`. Axes count from the innermost; axes 0..3 are in `…_low`, 4..7 in `…_high`.
// An invocation RUN elements of y; where RUN is 1, neighbours write neighbouring addresses.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;
override RANK: u32 = 8;

struct Params { extents_low: vec4u, extents_high: vec4u, strides_low: vec4u, strides_high: vec4u, count: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/strides.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    y[i] = x[strided_index(i, Axes(params.extents_low, params.extents_high), Axes(params.strides_low, params.strides_high))];
  }
}
