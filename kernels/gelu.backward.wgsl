// dX = dY (Φ(x) + x φ(x)). x, dy, dx: [count]. An invocation RUN elements.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read> dy: array<dy_t>;
@group(0) @binding(2) var<storage, read_write> dx: array<dx_t>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/erf.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    dx[i] = dx_t(f32(dy[i]) * gelu_derivative(f32(x[i])));
  }
}
