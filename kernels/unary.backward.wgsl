// dX = dY f'(x), element by element, from what the forward pass saved: y for exp, sqrt and sigmoid, x for the others.
// saved, dy, dx: [count]. An invocation RUN elements.
// OPERATION: 0 exp, 1 log, 2 sqrt, 3 square, 4 abs, 5 sigmoid, 6 softplus.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;
override OPERATION: u32 = 0;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> saved: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/softplus.wgsl"

fn gradient(v: f32, g: f32) -> f32 {
  switch (OPERATION) {
    case 0u: { return g * v; }
    case 1u: { return g / v; }
    case 2u: { return 0.5 * g / v; }
    case 3u: { return 2.0 * g * v; }
    case 4u: { return g * sign(v); }
    case 5u: { return g * v * (1.0 - v); }
    default: { return g * sigmoid(v); }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    dx[i] = gradient(saved[i], dy[i]);
  }
}
