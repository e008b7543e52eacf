// norm[0] = √(Σ partials). partials: [count]. One workgroup, deterministic.
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> norm: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var partial = 0.0;
  for (var i = lane; i < params.count; i += WORKGROUP_SIZE) {
    partial += partials[i];
  }
  let sum = workgroup_sum(partial, lane);
  if (group.x == 0u && lane == 0u) {
    norm[0] = sqrt(sum);
  }
}
