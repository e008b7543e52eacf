// y = a ∘ b, element by element, for operands of one shape. a, b, y: [count]. An invocation RUN elements.
// OPERATION: 0 a + b, 1 a - b, 2 a b, 3 a / b.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;
override OPERATION: u32 = 0;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> a: array<a_t>;
@group(0) @binding(1) var<storage, read> b: array<b_t>;
@group(0) @binding(2) var<storage, read_write> y: array<y_t>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/binary.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    y[i] = y_t(binary(f32(a[i]), f32(b[i])));
  }
}
