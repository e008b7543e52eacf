// Sums over the tokens of a batch element, for each channel and chunk of tokens:
//   y[b, k, c] = scale Σ_{n in chunk k} t,
//   KIND 0: t = x,  1: t = x²,  2: t = |x|,  3: t = w[b, n] (x − mean[b, c]).
// x: [batches, tokens, channels]. mean: [batches, channels], w: [batches, tokens] (one element where the kind does not read them).
// y: [batches, chunks, channels]. One invocation a channel and chunk; neighbouring invocations read neighbouring channels.
override WORKGROUP_SIZE: u32 = 64;
override KIND: u32 = 0;

struct Params { batches: u32, tokens: u32, channels: u32, tokens_per_chunk: u32, chunks: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

#include "include/flat-index.wgsl"

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_workgroup(group, groups) * WORKGROUP_SIZE + lane;
  if (i >= params.batches * params.chunks * params.channels) {
    return;
  }
  let c = i % params.channels;
  let chunk = (i / params.channels) % params.chunks;
  let batch = i / (params.channels * params.chunks);
  let first = chunk * params.tokens_per_chunk;
  let last = min(first + params.tokens_per_chunk, params.tokens);
  var centre = 0.0;
  if (KIND == 3u) {
    centre = mean[batch * params.channels + c];
  }
  var sum = 0.0;
  for (var n = batch * params.tokens + first; n < batch * params.tokens + last; n++) {
    let value = x[n * params.channels + c];
    if (KIND == 0u) {
      sum += value;
    } else if (KIND == 1u) {
      sum += value * value;
    } else if (KIND == 2u) {
      sum += abs(value);
    } else {
      sum += w[n] * (value - centre);
    }
  }
  y[i] = params.scale * sum;
}
