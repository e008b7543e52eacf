// Exchanges two axes: x [outer, b, middle, c, inner] -> y [outer, c, middle, b, inner].
// Between two cores of a block tensor train the block axis of one becomes the contracted axis of the next.
// One invocation an element of y.
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32, b: u32, middle: u32, c: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.count) {
    return;
  }
  let in_inner = i % params.inner;
  var rest = i / params.inner;
  let at_b = rest % params.b;
  rest /= params.b;
  let at_middle = rest % params.middle;
  rest /= params.middle;
  let at_c = rest % params.c;
  let outer = rest / params.c;
  y[i] = x[(((outer * params.b + at_b) * params.middle + at_middle) * params.c + at_c) * params.inner + in_inner];
}
