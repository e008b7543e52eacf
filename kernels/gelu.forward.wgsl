// y = x Φ(x) (Hendrycks & Gimpel 2016, exact). x, y: [count]. An invocation RUN elements.
override WORKGROUP_SIZE: u32 = 64;
override RUN: u32 = 1;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<x_t>;
@group(0) @binding(1) var<storage, read_write> y: array<y_t>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/erf.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (flat_workgroup(group, groups) * WORKGROUP_SIZE + lane) * RUN;
  let end = min(first + RUN, params.count);
  for (var i = first; i < end; i++) {
    y[i] = y_t(gelu(f32(x[i])));
  }
}
