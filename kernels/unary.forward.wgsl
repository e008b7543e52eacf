// y = f(x), element by element. x, y: [count]. An invocation RUN elements.
// OPERATION: 0 exp, 1 log, 2 sqrt, 3 square, 4 abs, 5 sigmoid, 6 softplus.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;
override OPERATION: u32 = 0;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/softplus.wgsl"

fn apply(v: f32) -> f32 {
  switch (OPERATION) {
    case 0u: { return exp(v); }
    case 1u: { return log(v); }
    case 2u: { return sqrt(v); }
    case 3u: { return v * v; }
    case 4u: { return abs(v); }
    case 5u: { return sigmoid(v); }
    default: { return softplus(v); }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    y[i] = apply(x[i]);
  }
}
