// Second pass of a matrix product whose k was split: y = activation(Σ_s parts_s + bias), in the order of the splits.
// parts: [splits, count], y: [count] with rows of n; bias: [n], or anything where has_bias is 0. One invocation an element.
override WORKGROUP_SIZE: u32 = 64;
override ACTIVATION: u32 = 0;

struct Params { splits: u32, count: u32, n: u32, has_bias: u32, slope: f32 }

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<y_t>;
@group(0) @binding(3) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/matmul-epilogue.wgsl"
#include "include/matmul-bias.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.count) {
    return;
  }
  var sum = 0.0;
  for (var split = 0u; split < params.splits; split++) {
    sum += parts[split * params.count + i];
  }
  y[i] = y_t(epilogue(sum + bias_at(i % params.n), params.slope));
}
