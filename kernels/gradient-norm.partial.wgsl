// Sums of squares of stretches of a tensor: partials[first + k] = Σ x² over stretch k. x: [count]. One workgroup a stretch of
// `stretch` elements; deterministic (a fixed tree).
override WORKGROUP_SIZE: u32 = 64;

struct Params { count: u32, stretch: u32, first: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let k = flat_workgroup(group, groups);
  if (k * params.stretch >= params.count) {
    return;
  }
  let last = min((k + 1u) * params.stretch, params.count);
  var partial = 0.0;
  for (var i = k * params.stretch + lane; i < last; i += WORKGROUP_SIZE) {
    partial += x[i] * x[i];
  }
  let sum = workgroup_sum(partial, lane);
  if (lane == 0u) {
    partials[params.first + k] = sum;
  }
}
