// y = a ∘ b with NumPy broadcasting. y: [count], row-major over `extents`; a and b have strides of their own, 0 where broadcast.
// Axes count from the innermost; extents and strides of axes 0..3 are in `…_low`, 4..7 in `…_high`.
// An invocation RUN elements of y. OPERATION: 0 a + b, 1 a - b, 2 a b, 3 a / b.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;
override OPERATION: u32 = 0;
override RANK: u32 = 8;

struct Params {
  extents_low: vec4u,
  extents_high: vec4u,
  a_strides_low: vec4u,
  a_strides_high: vec4u,
  b_strides_low: vec4u,
  b_strides_high: vec4u,
  count: u32,
}

@group(0) @binding(0) var<storage, read> a: array<a_t>;
@group(0) @binding(1) var<storage, read> b: array<b_t>;
@group(0) @binding(2) var<storage, read_write> y: array<y_t>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/binary.wgsl"
#include "include/strides.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    let extents = Axes(params.extents_low, params.extents_high);
    let at_a = strided_index(i, extents, Axes(params.a_strides_low, params.a_strides_high));
    let at_b = strided_index(i, extents, Axes(params.b_strides_low, params.b_strides_high));
    y[i] = y_t(binary(f32(a[at_a]), f32(b[at_b])));
  }
}
