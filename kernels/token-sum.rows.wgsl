// token-sum.wgsl with one invocation a token, for adapters that run on the CPU. Same bindings, same formulas.
override WORKGROUP_SIZE: u32 = 32;
override KIND: u32 = 0;

struct Params { rows: u32, tokens: u32, channels: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/token-term.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.channels;
  let channel = (row / params.tokens) * params.channels;
  var sum = 0.0;
  for (var c = 0u; c < params.channels; c++) {
    sum += token_term(start + c, channel + c);
  }
  sum *= params.scale;
  if (KIND == 4u) {
    sum *= w[row];
  }
  y[row] = sum;
}
