// Sums over the channels of each token:
//   y[b, n] = scale Σ_c t,
//   KIND 0: t = (x − a[b, c])²,  1: t = |x|,  2: t = (x − z)²,  3: t = x²,  4: t = w[b, n] a[b, c] (x − z)².
// x, z: [batches, tokens, channels]. a: [batches, channels]. w: [batches, tokens]. y: [batches, tokens]. Operands that a kind does
// not read have one element. rows = batches · tokens. One workgroup a token.
override WORKGROUP_SIZE: u32 = 64;
override KIND: u32 = 0;

struct Params { rows: u32, tokens: u32, channels: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

#include "include/flat-index.wgsl"
#include "include/reduce.wgsl"
#include "include/token-term.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.channels;
  let channel = (row / params.tokens) * params.channels;
  var partial = 0.0;
  for (var c = lane; c < params.channels; c += WORKGROUP_SIZE) {
    partial += token_term(start + c, channel + c);
  }
  var sum = params.scale * workgroup_sum(partial, lane);
  if (KIND == 4u) {
    sum *= w[row];
  }
  if (lane == 0u) {
    y[row] = sum;
  }
}
